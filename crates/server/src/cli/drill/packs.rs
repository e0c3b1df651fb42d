//! The defences of a drill: the pack that is tested, the packs that it is compared with, and what is left without a layer.

use std::path::Path;

use holdfast_cedar::compile_pack;
use holdfast_decision::command::PolicySource;
use holdfast_simulator::drill::arm::{Arm, Role, Without, unbounded};
use holdfast_simulator::exchange::Exchange;

use super::read_small;
use crate::cli::Failure;

/// A pack that is built in, so that a drill compares with the same text wherever it runs.
struct BuiltIn {
    name: &'static str,
    title: &'static str,
    files: &'static [(&'static str, &'static str)],
    exchange: &'static str,
}

const BASELINE: BuiltIn = BuiltIn {
    name: "baseline",
    title: "what a good exchange would run today",
    files: &[
        ("account.cedar", include_str!("../../../../../policies/baseline/account.cedar")),
        ("api.cedar", include_str!("../../../../../policies/baseline/api.cedar")),
        ("destinations.cedar", include_str!("../../../../../policies/baseline/destinations.cedar")),
        ("exchange.cedar", include_str!("../../../../../policies/baseline/exchange.cedar")),
        ("limits.cedar", include_str!("../../../../../policies/baseline/limits.cedar")),
        ("owner.cedar", include_str!("../../../../../policies/baseline/owner.cedar")),
    ],
    exchange: "",
};

const LIMITS_2019: BuiltIn = BuiltIn {
    name: "limits-2019",
    title: "limits for each account and a one-time code, without buckets",
    files: &[("limits.cedar", include_str!("../../../../../policies/limits-2019/limits.cedar"))],
    exchange: include_str!("../../../../../policies/limits-2019/exchange.toml"),
};

const LIMITS_24H: BuiltIn = BuiltIn {
    name: "limits-24h",
    title: "limits for each account, a one-time code and a day's wait for new addresses, without buckets",
    files: &[
        ("destinations.cedar", include_str!("../../../../../policies/limits-24h/destinations.cedar")),
        ("limits.cedar", include_str!("../../../../../policies/limits-24h/limits.cedar")),
    ],
    exchange: include_str!("../../../../../policies/limits-24h/exchange.toml"),
};

/// How a pack is run: `exchange.toml` beside it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RunAs {
    #[serde(default)]
    buckets: Bounds,
}

#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bounds {
    /// As the drill's exchange has them.
    #[default]
    Stated,
    /// None, at the signer neither.
    None,
}

fn run_as(text: &str, exchange: &Exchange) -> Result<Exchange, Failure> {
    let run_as: RunAs = toml::from_str(text)
        .map_err(|error| Failure::new("exchange_invalid", format!("exchange.toml: {error}")))?;
    Ok(if run_as.buckets == Bounds::None { unbounded(exchange.clone()) } else { exchange.clone() })
}

fn built_in(pack: &BuiltIn, role: Role, exchange: &Exchange) -> Result<Arm, Failure> {
    let files: Vec<(String, String)> =
        pack.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let compiled = compile_pack(&files).map_err(|error| Failure::new("policy_invalid", error))?;
    let policy = PolicySource {
        hash: compiled.hash,
        files: compiled.files,
        program: compiled.program.to_bytes(),
        compiler: Some(holdfast_cedar::COMPILER),
    };
    let exchange = run_as(pack.exchange, exchange)?;
    Ok(Arm { name: pack.name.into(), title: pack.title.into(), role, policy, exchange })
}

fn of_dir(dir: &Path, exchange: &Exchange) -> Result<Arm, Failure> {
    let pack = holdfast_cedar::load_dir(dir).map_err(|error| Failure::new("policy_invalid", error))?;
    let name = dir.canonicalize().ok().and_then(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "policy".to_owned());
    let run = dir.join("exchange.toml");
    let exchange = if run.exists() { run_as(&read_small(&run)?, exchange)? } else { exchange.clone() };
    let policy = PolicySource {
        hash: pack.hash,
        files: pack.files,
        program: pack.program.to_bytes(),
        compiler: Some(holdfast_cedar::COMPILER),
    };
    let title = dir.display().to_string().into();
    Ok(Arm { name: name.into(), title, role: Role::Tested, policy, exchange })
}

/// All defences of a drill, what is tested first. A pack is not compared with itself.
pub(super) fn arms(policy: Option<&Path>, full: bool, exchange: &Exchange) -> Result<Vec<Arm>, Failure> {
    let tested = match policy {
        Some(dir) => of_dir(dir, exchange)?,
        None => built_in(&BASELINE, Role::Tested, exchange)?,
    };
    let mut arms = vec![tested.clone()];
    let mut compare = |pack: &BuiltIn| -> Result<(), Failure> {
        let mut arm = built_in(pack, Role::Baseline, exchange)?;
        if arm.policy.hash == tested.policy.hash {
            return Ok(());
        }
        if arm.name == tested.name {
            arm.name = format!("{}-built-in", arm.name).into();
        }
        arms.push(arm);
        Ok(())
    };
    compare(&LIMITS_2019)?;
    compare(&LIMITS_24H)?;
    if full {
        for (layer, name, title) in Without::ALL {
            let arm = tested.without(layer, name, title);
            arms.push(arm.map_err(|error| Failure::new("policy_invalid", error))?);
        }
        for (name, title, permille) in
            [("keys-0", "no customer has a key", 0), ("keys-30", "30 % of the customers have a key", 300)]
        {
            let mut arm =
                Arm { name: name.into(), title: title.into(), role: Role::Ablation, ..tested.clone() };
            arm.exchange.customers_with_key_permille = permille;
            arms.push(arm);
        }
    }
    Ok(arms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_packs_are_the_shipped_ones() {
        let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
        for pack in [&BASELINE, &LIMITS_2019, &LIMITS_24H] {
            let built_in = built_in(pack, Role::Tested, &Exchange::default()).unwrap();
            let shipped = of_dir(&policies.join(pack.name), &Exchange::default()).unwrap();
            assert_eq!(built_in.policy, shipped.policy, "{}", pack.name);
            assert_eq!(built_in.exchange, shipped.exchange, "{}", pack.name);
        }
    }

    #[test]
    fn how_a_pack_is_run_is_read_strictly() {
        let stated = Exchange::default();
        assert_eq!(run_as("", &stated).unwrap(), stated);
        assert_ne!(run_as("buckets = \"none\"", &stated).unwrap(), stated);
        for text in ["bucket = \"none\"", "buckets = \"some\"", "buckets = 1"] {
            assert_eq!(run_as(text, &stated).unwrap_err().code, "exchange_invalid", "{text}");
        }
    }
}
