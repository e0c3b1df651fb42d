//! From Cedar's syntax tree to the expressions of the evaluator. What has no exact counterpart is refused by name.

use cedar_policy::pst::{
    ActionConstraint, BinaryOp, Clause, EntityUID, Expr as Cedar, Literal, PrincipalConstraint,
    ResourceConstraint, Template, UnaryOp, Var,
};
use holdfast_policy::expr::Arithmetic;
use holdfast_policy::{Action, Comparison, Enumeration, Expr, FACTS, Fact};

/// A construct that does not compile: what it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The construct, in words and in text.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: String,
}

/// The longest text of a construct that a refusal shows.
const SHOWN_MAX: usize = 120;
/// The deepest tree that is compiled; a chain of `&&` counts each link.
const DEPTH_MAX: usize = 1_000;

fn refuse<T>(what: &str, expr: &Cedar, help: impl Into<String>) -> Result<T, Refusal> {
    let text = expr.to_string();
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let dots = if shown.len() < text.len() { ".." } else { "" };
    Err(Refusal { message: format!("{what} cannot be compiled: `{shown}{dots}`"), help: help.into() })
}

/// The actions of the scope as bits, and the condition of the policy.
pub(crate) fn policy(policy: &Template) -> Result<(u64, Expr), Refusal> {
    let scope = |what: &str| Refusal {
        message: format!("a scope that names a {what} cannot be compiled"),
        help: format!("write plain `{what}`: policies weigh facts, they do not name accounts"),
    };
    if policy.principal != PrincipalConstraint::Any {
        return Err(scope("principal"));
    }
    if policy.resource != ResourceConstraint::Any {
        return Err(scope("resource"));
    }
    let actions = match &policy.action {
        ActionConstraint::Any => u64::MAX,
        ActionConstraint::Eq(uid) => action(uid)?,
        ActionConstraint::In(uids) => {
            uids.iter().try_fold(0, |bits, uid| Ok::<_, Refusal>(bits | action(uid)?))?
        }
    };
    let mut parts = Vec::new();
    for clause in policy.clauses() {
        match clause {
            Clause::When(expr) => parts.push(compile(expr, 0)?),
            Clause::Unless(expr) => parts.push(Expr::Not(Box::new(compile(expr, 0)?))),
        }
    }
    Ok((actions, chain(parts, true)))
}

fn action(uid: &EntityUID) -> Result<u64, Refusal> {
    let known = (uid.ty.to_string() == "Action").then(|| Action::from_name(&uid.eid)).flatten();
    known.map(Action::bit).ok_or_else(|| Refusal {
        message: format!("there is no action {}::{:?}", uid.ty, uid.eid),
        help: format!(
            "the actions are {}",
            Action::ALL.map(|action| format!("Action::{:?}", action.name())).join(", ")
        ),
    })
}

/// `&&` or `||` over the parts, chains within chains laid flat: their meaning, errors included, stays the same.
fn chain(parts: Vec<Expr>, all: bool) -> Expr {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match (part, all) {
            (Expr::All(inner), true) | (Expr::Any(inner), false) => flat.extend(inner),
            (part, _) => flat.push(part),
        }
    }
    if flat.len() == 1 {
        return flat.pop().unwrap_or(Expr::Bool(all));
    }
    match (flat.is_empty(), all) {
        (true, _) => Expr::Bool(all),
        (_, true) => Expr::All(flat.into_boxed_slice()),
        (_, false) => Expr::Any(flat.into_boxed_slice()),
    }
}

fn compile(expr: &Cedar, depth: usize) -> Result<Expr, Refusal> {
    if depth > DEPTH_MAX {
        return Err(Refusal {
            message: format!("a condition nests deeper than {DEPTH_MAX}"),
            help: "split the policy".to_owned(),
        });
    }
    let inner = |expr: &Cedar| compile(expr, depth + 1);
    let boxed = |expr: &Cedar| compile(expr, depth + 1).map(Box::new);
    let pair = |left: &Cedar, right: &Cedar| Ok(Box::new([inner(left)?, inner(right)?]));
    match expr {
        Cedar::Literal(literal) => compile_literal(expr, literal),
        Cedar::Var(Var::Context) | Cedar::GetAttr { .. } => fact(expr),
        Cedar::Var(_) => refuse("a variable of the scope", expr, "use the facts under `context`"),
        Cedar::UnaryOp { op: UnaryOp::Not, expr } => Ok(Expr::Not(boxed(expr)?)),
        Cedar::UnaryOp { op: UnaryOp::Neg, expr } => Ok(Expr::Negate(boxed(expr)?)),
        Cedar::UnaryOp { .. } => refuse("this function", expr, "use comparisons, arithmetic and `contains`"),
        Cedar::BinaryOp { op, left, right } => match op {
            BinaryOp::And | BinaryOp::Or => {
                let parts = vec![inner(left)?, inner(right)?];
                Ok(chain(parts, *op == BinaryOp::And))
            }
            BinaryOp::Eq => Ok(Expr::Compare(Comparison::Equal, pair(left, right)?)),
            BinaryOp::NotEq => Ok(Expr::Compare(Comparison::NotEqual, pair(left, right)?)),
            BinaryOp::Less => Ok(Expr::Compare(Comparison::Less, pair(left, right)?)),
            BinaryOp::LessEq => Ok(Expr::Compare(Comparison::LessOrEqual, pair(left, right)?)),
            BinaryOp::Greater => Ok(Expr::Compare(Comparison::Greater, pair(left, right)?)),
            BinaryOp::GreaterEq => Ok(Expr::Compare(Comparison::GreaterOrEqual, pair(left, right)?)),
            BinaryOp::Add => Ok(Expr::Arithmetic(Arithmetic::Add, pair(left, right)?)),
            BinaryOp::Sub => Ok(Expr::Arithmetic(Arithmetic::Subtract, pair(left, right)?)),
            BinaryOp::Mul => Ok(Expr::Arithmetic(Arithmetic::Multiply, pair(left, right)?)),
            BinaryOp::Contains => match &**left {
                Cedar::Set(members) => among(expr, right, members, depth),
                _ => refuse(
                    "`contains` on anything but a set of literals",
                    expr,
                    "write [\"BTC\", \"ETH\"].contains(..)",
                ),
            },
            // Words have no parents, so that `in` is equality with one of them.
            BinaryOp::In => match &**right {
                Cedar::Set(members) => among(expr, left, members, depth),
                Cedar::Literal(Literal::EntityUID(_)) => {
                    Ok(Expr::Compare(Comparison::Equal, pair(left, right)?))
                }
                _ => refuse(
                    "`in` with anything but words",
                    expr,
                    "write context.class in [Class::\"aged\", ..]",
                ),
            },
            _ => refuse("this operator", expr, "use comparisons, arithmetic, &&, ||, `in` and `contains`"),
        },
        Cedar::IfThenElse { cond, then_expr, else_expr } => {
            Ok(Expr::If(Box::new([inner(cond)?, inner(then_expr)?, inner(else_expr)?])))
        }
        Cedar::HasAttr { .. } => refuse("`has`", expr, "leave it out: every fact is always there"),
        Cedar::Like { .. } => refuse("`like`", expr, "list the texts: [\"..\", \"..\"].contains(..)"),
        Cedar::Is { .. } => refuse("`is`", expr, "leave it out: the schema fixes every type"),
        Cedar::Set(_) => refuse("a set outside `contains`", expr, "write [..].contains(fact)"),
        Cedar::Record(_) => refuse("a record", expr, "compare its fields one by one"),
        _ => refuse("this construct", expr, "use facts, literals, comparisons and arithmetic"),
    }
}

fn among(
    whole: &Cedar,
    value: &Cedar,
    members: &[std::sync::Arc<Cedar>],
    depth: usize,
) -> Result<Expr, Refusal> {
    if members.is_empty() {
        return refuse("an empty set", whole, "leave the condition out, or write `false`");
    }
    let value = compile(value, depth + 1)?;
    let mut set = Vec::with_capacity(members.len());
    for member in members {
        match compile(member, depth + 1)? {
            literal if literal.literal().is_some() => set.push(literal),
            _ => return refuse("a set of anything but literals", whole, "write comparisons joined by ||"),
        }
    }
    Ok(Expr::Among(Box::new(value), set.into_boxed_slice()))
}

fn compile_literal(expr: &Cedar, literal: &Literal) -> Result<Expr, Refusal> {
    match literal {
        Literal::Bool(value) => Ok(Expr::Bool(*value)),
        Literal::Long(value) => Ok(Expr::Long(*value)),
        Literal::String(text) => Ok(Expr::Text(text.as_str().into())),
        Literal::EntityUID(uid) => match Enumeration::from_name(&uid.ty.to_string()) {
            Some(enumeration) => Ok(Expr::Member(enumeration, uid.eid.as_str().into())),
            None => refuse("an entity", expr, "policies weigh facts, they do not name accounts"),
        },
        _ => refuse("this literal", expr, "use truths, numbers, texts and words"),
    }
}

/// `context.account.age_hours` to its fact.
fn fact(expr: &Cedar) -> Result<Expr, Refusal> {
    let (mut at, mut names) = (expr, Vec::new());
    while let Cedar::GetAttr { expr, attr } = at {
        names.push(attr.as_str());
        at = expr;
    }
    if !matches!(at, Cedar::Var(Var::Context)) {
        return refuse("an attribute of anything but `context`", expr, "use the facts under `context`");
    }
    names.reverse();
    let path = names.join(".");
    if let Some(fact) = Fact::from_path(&path) {
        return Ok(Expr::Fact(fact));
    }
    let group = format!("{path}.");
    let within: Vec<&str> =
        FACTS.iter().map(|spec| spec.path).filter(|p| p.starts_with(&group)).take(3).collect();
    match within.first() {
        Some(_) => {
            refuse("a whole record", expr, format!("name one of its facts: {}, ..", within.join(", ")))
        }
        None => refuse("a fact that does not exist", expr, "docs/facts.md lists the facts"),
    }
}
