//! `holdfast address check`: are these addresses of that network? Reads arguments or lines and prints one answer each;
//! what an address is, is known by `holdfast-values`.

use std::ffi::OsString;
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;

use holdfast_values::address::{ADDRESS_LEN_MAX, AddressError, Examined, examine_bytes};
use holdfast_values::network::Network;
use serde_json::json;

/// Longest part of a line that is kept; the rest of a longer line is skipped and the line reported invalid.
const LINE_MAX: usize = 2 * ADDRESS_LEN_MAX;

/// Names that people use for networks besides the canonical ones.
const COMMON_NAMES: [(&str, Network); 18] = [
    ("btc", Network::Bitcoin),
    ("testnet", Network::BitcoinTestnet),
    ("signet", Network::BitcoinSignet),
    ("regtest", Network::BitcoinRegtest),
    ("ltc", Network::Litecoin),
    ("doge", Network::Dogecoin),
    ("bch", Network::BitcoinCash),
    ("bitcoincash", Network::BitcoinCash),
    ("eth", Network::Ethereum),
    ("sepolia", Network::EthereumSepolia),
    ("bnb", Network::Bsc),
    ("matic", Network::Polygon),
    ("avalanche", Network::AvalancheC),
    ("trx", Network::Tron),
    ("sol", Network::Solana),
    ("ripple", Network::Xrp),
    ("xrpl", Network::Xrp),
    ("xlm", Network::Stellar),
];

/// Work with addresses.
#[derive(clap::Args, Debug)]
pub struct AddressArgs {
    #[command(subcommand)]
    command: AddressCommand,
}

#[derive(clap::Subcommand, Debug)]
enum AddressCommand {
    /// Check addresses by checksum, version, length and network.
    ///
    /// Exits 0 if every address is valid, 1 if one is not, 2 if nothing could be checked. The kind `witness_unknown`
    /// marks a well-formed witness program that has no rules yet: Holdfast refuses withdrawals to it.
    Check(CheckArgs),
}

#[derive(clap::Args, Debug)]
struct CheckArgs {
    /// The network, such as bitcoin, ethereum or xrp.
    #[arg(long, value_parser = parse_network)]
    network: Network,
    /// A destination tag (xrp) or memo (stellar) that goes with every address.
    #[arg(long)]
    memo: Option<String>,
    /// Print one JSON object a line: address, valid, and kind or error.
    #[arg(long)]
    json: bool,
    /// Addresses; without any, one a line is read from standard input.
    addresses: Vec<OsString>,
}

fn parse_network(text: &str) -> Result<Network, String> {
    let name = text.to_ascii_lowercase();
    let common = || COMMON_NAMES.iter().find(|(common, _)| *common == name).map(|(_, network)| *network);
    name.parse().ok().or_else(common).ok_or_else(|| {
        let names = Network::ALL.map(Network::name).join(", ");
        format!("unknown network; known are: {names}")
    })
}

/// Runs the command on standard input and output.
pub fn run(args: AddressArgs) -> ExitCode {
    let AddressCommand::Check(args) = args.command;
    match check(&args, io::stdin().lock(), io::BufWriter::new(io::stdout().lock())) {
        Ok(Tally { checked: 0, .. }) => {
            eprintln!("no addresses given: name them, or write one a line to standard input");
            ExitCode::from(2)
        }
        Ok(Tally { invalid: 0, .. }) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        // Whoever read the answers has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(1),
        Err(error) => {
            eprintln!("cannot check addresses: {error}");
            ExitCode::from(2)
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    checked: u64,
    invalid: u64,
}

fn check(args: &CheckArgs, mut input: impl BufRead, mut output: impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut answer = |address: &[u8], output: &mut dyn Write| -> io::Result<()> {
        let found = examine_bytes(args.network, address, args.memo.as_deref());
        tally.checked += 1;
        tally.invalid += u64::from(found.is_err());
        if args.json { print_json(address, &found, output) } else { print_plain(address, &found, output) }
    };
    if args.addresses.is_empty() {
        let mut line = Vec::with_capacity(LINE_MAX);
        while read_line(&mut input, &mut line)? {
            answer(&line, &mut output)?;
        }
    } else {
        for address in &args.addresses {
            answer(address.as_encoded_bytes(), &mut output)?;
        }
    }
    output.flush()?;
    Ok(tally)
}

/// Reads one line without its end into `line`, at most [`LINE_MAX`] bytes of it; false at the end of the input.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let buffer = match input.fill_buf() {
            Ok([]) => break,
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.iter().take(end.unwrap_or(buffer.len()));
        line.extend(part.take(LINE_MAX - line.len()));
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any)
}

fn print_json(
    address: &[u8],
    found: &Result<Examined, AddressError>,
    output: &mut dyn Write,
) -> io::Result<()> {
    let text = String::from_utf8_lossy(address);
    let mut answer = match found {
        Ok(examined) => json!({ "address": text, "valid": true, "kind": examined.written_as.code() }),
        Err(error) => json!({ "address": text, "valid": false, "error": error.code() }),
    };
    if let (Err(_), Some(fields)) = (std::str::from_utf8(address), answer.as_object_mut()) {
        // The text above shows U+FFFD for what is no UTF-8; nothing is lost here.
        let hex = address.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        fields.insert("address_hex".to_owned(), hex.into());
    }
    writeln!(output, "{answer}")
}

fn print_plain(
    address: &[u8],
    found: &Result<Examined, AddressError>,
    output: &mut dyn Write,
) -> io::Result<()> {
    // Escaped: a line from outside must not steer the terminal.
    let text = address.escape_ascii();
    match found {
        Ok(examined) => {
            let canonical = &examined.destination;
            write!(output, "valid    {:<16} {text}", examined.written_as)?;
            if canonical.address().as_bytes() != address {
                write!(output, " = {}", canonical.address())?;
            }
            if let Some(memo) = canonical.memo() {
                write!(output, " memo {memo}")?;
            }
            writeln!(output)
        }
        Err(error) => writeln!(output, "invalid  {:<16} {text}: {error}", error.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(network: Network, json: bool, input: &[u8]) -> (Tally, String) {
        let args = CheckArgs { network, memo: None, json, addresses: Vec::new() };
        let mut output = Vec::new();
        // A tiny buffer, so that lines span reads.
        let tally = check(&args, io::BufReader::with_capacity(7, input), &mut output).unwrap();
        (tally, String::from_utf8(output).unwrap())
    }

    #[test]
    fn answers_every_line_of_the_input() {
        let input =
            b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\r\n\n1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j\nmo9\xff";
        let (tally, output) = lines(Network::Bitcoin, true, input);
        assert_eq!(tally, Tally { checked: 4, invalid: 3 });
        let answers =
            output.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<serde_json::Value>>();
        assert_eq!(
            answers,
            [
                json!({"address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "valid": true, "kind": "p2wpkh"}),
                json!({"address": "", "valid": false, "error": "address_empty"}),
                json!({"address": "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j", "valid": false, "error": "address_checksum"}),
                json!({"address": "mo9\u{fffd}", "valid": false, "error": "address_encoding", "address_hex": "6d6f39ff"}),
            ]
        );
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut input = vec![b'1'; 3 << 20];
        input.extend_from_slice(b"\nTR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t");
        let (tally, output) = lines(Network::Tron, false, &input);
        assert_eq!(tally, Tally { checked: 2, invalid: 1 });
        assert!(output.len() < 2 * LINE_MAX);
        assert!(
            output.ends_with("valid    tron             TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t\n"),
            "{output}"
        );
    }

    #[test]
    fn nothing_from_outside_steers_the_terminal() {
        let (_, output) = lines(Network::Bitcoin, false, b"\x1b[2J");
        assert!(output.starts_with("invalid  address_encoding \\x1b[2J: "), "{output}");
    }

    #[test]
    fn networks_go_by_their_common_names_too() {
        assert_eq!(parse_network("bitcoin-cash"), Ok(Network::BitcoinCash));
        assert_eq!(parse_network("BCH"), Ok(Network::BitcoinCash));
        assert!(parse_network("monero").unwrap_err().contains("bitcoin, "));
    }
}
