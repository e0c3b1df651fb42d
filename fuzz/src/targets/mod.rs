//! The table of targets, and what they share.

mod gate;
mod policy;
mod release;
mod request;
mod server;
mod signer;
mod state;
mod texts;
mod transactions;
mod webauthn;

/// One reader of bytes from outside.
#[derive(Debug)]
pub struct Target {
    /// By what it is asked for; also the folder of its corpus.
    pub name: &'static str,
    /// What it reads, and what must hold.
    pub about: &'static str,
    /// True if the bytes are accepted. Panics if something does not hold.
    pub run: fn(&[u8]) -> bool,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "psbt",
        about: "a PSBT does what the bitcoin library says that it does: outputs, fee, coins, sighashes, digest",
        run: transactions::psbt,
    },
    Target {
        name: "evm",
        about: "an unsigned EIP-1559 transaction says what another reader of RLP reads, and is its one spelling",
        run: transactions::evm,
    },
    Target {
        name: "evm_signed",
        about: "a signed EIP-1559 transaction comes apart into what makes it again; nobody else can have signed it",
        run: transactions::evm_signed_transaction,
    },
    Target {
        name: "descriptors",
        about: "a wallet's descriptors give the addresses that the miniscript library gives",
        run: transactions::descriptors,
    },
    Target {
        name: "release",
        about: "the payload of a release has one spelling; its operators' acts count for nobody else",
        run: release::release,
    },
    Target { name: "receipt", about: "the payload of a receipt has one spelling", run: release::receipt },
    Target { name: "spends", about: "the payload of a statement has one spelling", run: release::spends },
    Target {
        name: "enrolment",
        about: "the payload of an enrolment or a removal has one spelling, and is one of them",
        run: release::enrolment,
    },
    Target {
        name: "policy_step",
        about: "the payload of a policy step has one spelling, and no file of a pack stands in it twice",
        run: release::policy_step,
    },
    Target {
        name: "envelope",
        about: "what opens is what was sealed: no byte, length or kind can be another",
        run: release::envelope,
    },
    Target {
        name: "withdrawal_text",
        about: "a withdrawal's text prints as it was read",
        run: texts::withdrawal,
    },
    Target { name: "transfer_text", about: "a transfer's text prints as it was read", run: texts::transfer },
    Target { name: "operator_text", about: "an operator's text prints as it was read", run: texts::operator },
    Target { name: "change_text", about: "a change's text prints as it was read", run: texts::change },
    Target {
        name: "mandate_text",
        about: "a mandate's text prints as it was read, and its bounds hold",
        run: texts::mandate,
    },
    Target { name: "conflict_key", about: "a conflict key has one spelling", run: texts::conflict_key },
    Target {
        name: "address",
        about: "an address of any network has one canonical spelling, which reads as itself",
        run: texts::address,
    },
    Target {
        name: "pins",
        about: "a signer's pinned file reads the same twice, within its bounds",
        run: signer::pins,
    },
    Target {
        name: "assertions",
        about: "assertions in an auditor's file are judged the same twice, alone and in a list",
        run: signer::assertions,
    },
    Target {
        name: "wire",
        about: "a frame on the signer's socket, request or answer, comes back as it was written",
        run: signer::wire,
    },
    Target {
        name: "request",
        about: "a signed API request means one thing only, wherever its query ends and its body begins",
        run: request::request,
    },
    Target {
        name: "gate",
        about: "a request that the gate lets through has one reading, and is its owner's, from his address, once",
        run: gate::gate_check,
    },
    Target {
        name: "ext_authz",
        about: "a question of Envoy's means one thing: another writer asks the same",
        run: server::ext_authz,
    },
    Target {
        name: "codes",
        about: "a secret in base 32, a one-time code and a recovery code are what was typed, and no other",
        run: server::codes,
    },
    Target {
        name: "token_uri",
        about: "a reference to a PKCS#11 key is printed as it was read, and has no PIN in it",
        run: server::token_uri,
    },
    Target {
        name: "assertion",
        about: "an assertion says what its bytes say, whoever signs it; a public key has one spelling",
        run: webauthn::assertion,
    },
    Target {
        name: "registration",
        about: "a registered credential is written as it was read, with and without its attestation",
        run: webauthn::registration,
    },
    Target {
        name: "state",
        about: "a snapshot that decodes is encoded in one way, and decodes again to the same",
        run: state::state,
    },
    Target { name: "record", about: "a command or list of events is encoded in one way", run: state::record },
    Target {
        name: "program",
        about: "a policy program has one spelling, and evaluates whatever the facts",
        run: state::program,
    },
    Target {
        name: "policy_agreement",
        about: "drawn policies, compiled, mean what Cedar's authorizer says, and do so after being laid out",
        run: policy::policy_agreement,
    },
];

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
