-- Customers' keys as this signer has seen them: rows are added, never changed, save where a clock that was ahead is set
-- right. Times are of the signer's own clock.
create table credentials (
    credential blob primary key,
    account text not null,
    -- COSE_Key in its one spelling.
    public_key blob not null,
    legacy_u2f integer not null,
    master integer not null,
    -- 0 first, 1 rotation, 2 recovery.
    basis integer not null,
    -- The first or recovered credential that it descends from by rotations, or itself.
    lineage blob not null,
    seen integer not null,
    -- The payload that enrolled it, as evidence.
    enrolment blob not null
) strict, without rowid;

create index credentials_by_account on credentials (account);
create index first_credentials_by_time on credentials (seen) where basis = 0;

-- Credentials that never count again, known here or not.
create table removals (
    credential blob primary key,
    account text not null,
    at integer not null
) strict, without rowid;

-- Which counter stood beside which text; keys that do not count have none.
create table assertions (
    credential blob not null,
    counter integer not null,
    -- The challenge: SHA-256 of the text.
    text blob not null check (length(text) = 32),
    at integer not null,
    primary key (credential, counter)
) strict, without rowid;

-- What each lineage vouched for, by hours since 1970.
create table vouched (
    lineage blob not null,
    asset text not null,
    network integer not null,
    hour integer not null,
    amount blob not null check (length(amount) = 16),
    primary key (lineage, asset, network, hour)
) strict, without rowid;

-- Mandates that were used: the text of each is the only one.
create table mandates (
    mandate blob primary key,
    text text not null,
    at integer not null
) strict, without rowid;

-- What each mandate paid, by minutes since 1970.
create table mandate_sums (
    mandate blob not null,
    minute integer not null,
    amount blob not null check (length(amount) = 16),
    primary key (mandate, minute)
) strict, without rowid;

-- Which signed request asked for which withdrawal.
create table requests (
    request blob primary key check (length(request) = 32),
    withdrawal blob not null,
    at integer not null
) strict, without rowid;
