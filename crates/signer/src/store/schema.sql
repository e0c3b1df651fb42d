-- The signer's store: one file, written by one process. Numbers of 64 bits are below 2^63; amounts are 16 bytes,
-- big-endian; ids 16 bytes; digests 32.
create table signer (
    only integer primary key check (only = 1),
    schema integer not null,
    store blob not null check (length(store) = 16),
    exchange text not null,
    name text not null,
    -- Which file on which machine this store was made or adopted as.
    inode integer not null,
    born integer not null,
    machine blob not null check (length(machine) = 32),
    -- Receipts given so far.
    counter integer not null,
    epoch integer not null,
    -- Highest sequence of the epoch, with its journal head; null before the epoch's first release.
    sequence integer,
    head blob check (length(head) = 32),
    -- Highest time seen, in microseconds.
    highest integer not null,
    halted integer not null
) strict;

-- What was authorised, by withdrawal: the text is the only one that may ever be paid.
create table spends (
    withdrawal blob primary key,
    intent text not null,
    at integer not null,
    network integer not null,
    wallet text not null
) strict, without rowid;

create table transfers (
    transfer blob primary key,
    text text not null,
    at integer not null,
    network integer not null,
    wallet text not null
) strict, without rowid;

-- Every authorised transaction, with the receipt that was given for it.
create table transactions (
    counter integer primary key,
    digest blob not null unique check (length(digest) = 32),
    -- Conflict keys in ascending order, CBOR.
    keys blob not null,
    at integer not null,
    receipt blob not null,
    outputs blob not null check (length(outputs) = 32)
) strict;

-- Which transactions pay which withdrawal.
create table payments (
    withdrawal blob not null,
    counter integer not null references transactions (counter),
    primary key (withdrawal, counter)
) strict, without rowid;

create table transfer_payments (
    transfer blob not null,
    counter integer not null references transactions (counter),
    primary key (transfer, counter)
) strict, without rowid;

-- Withdrawals that are never paid.
create table voided (
    withdrawal blob primary key,
    counter integer not null,
    receipt blob not null
) strict, without rowid;

-- Bucket levels in 1/3600 of a base unit; a bucket without a row is full.
create table buckets (
    class integer not null,
    what text not null,
    network integer not null,
    scaled blob not null check (length(scaled) = 16),
    at integer not null,
    primary key (class, what, network)
) strict, without rowid;

-- Operators' texts that were used.
create table nonces (
    nonce blob primary key,
    act text not null,
    at integer not null
) strict, without rowid;
