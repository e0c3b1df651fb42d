-- What this signer knows of the policy: with which one it began, through which ones it went, and the operators' texts that
-- lead on. Times are of the signer's own clock.
create table policy (
    only integer primary key check (only = 1),
    -- The pinned hash that the path begins with; null until the first is pinned.
    initial blob check (length(initial) = 32),
    -- When the store first ran; null before, 0 for one that is older than this table.
    begun integer
) strict;

-- Which policy was followed and until when; the last row is the one that counts.
create table policy_path (
    number integer primary key,
    hash blob not null check (length(hash) = 32),
    -- 1: pinned, or approved by the threshold of operators; 0: a tightening of such a one.
    base integer not null,
    since integer not null,
    until integer
) strict;

-- Steps, by the nonces of their texts: rows are added, never removed.
create table policy_links (
    nonce blob primary key check (length(nonce) = 32),
    -- 0 approved, 1 tightened, 2 restored.
    kind integer not null,
    source blob not null check (length(source) = 32),
    target blob not null check (length(target) = 32),
    -- Who proposed it, of an approval.
    author text,
    -- The first of the operators who sign it.
    signer text not null,
    seen integer not null,
    -- From when on it counts.
    counts integer not null,
    -- The text with its signatures, as evidence.
    text text not null,
    stopped integer,
    -- When a release followed it, or another was followed in its place.
    spent integer
) strict, without rowid;

create index policy_links_open on policy_links (source) where stopped is null and spent is null;
