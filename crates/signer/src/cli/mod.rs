//! The command line: what the binary `holdfast-signer` can be told. The work itself is done by the other rooms.
