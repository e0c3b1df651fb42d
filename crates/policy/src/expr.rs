//! The conditions of compiled policies: typed expressions over facts and literals, and their evaluation.
//!
//! Evaluation is total: it ends, allocates nothing and answers a value or a typed error. Its meaning is Cedar's:
//! operands from left to right, `&&`, `||` and `if` look no further than they need, arithmetic is checked.

use crate::facts::{Enumeration, Fact, FactType, Facts, Value};

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Every comparison, at the place of its number in compiled programs.
    pub const ALL: [Self; 6] =
        [Self::Equal, Self::NotEqual, Self::Less, Self::LessOrEqual, Self::Greater, Self::GreaterOrEqual];

    /// The operator's sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The comparison that holds exactly when this one does not.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }
}

/// What two numbers become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
}

impl Arithmetic {
    /// Every operation, at the place of its number in compiled programs.
    pub const ALL: [Self; 3] = [Self::Add, Self::Subtract, Self::Multiply];

    /// The operator's sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A truth.
    Bool(bool),
    /// A number.
    Long(i64),
    /// A text.
    Text(Box<str>),
    /// A word of an enumeration.
    Member(Enumeration, Box<str>),
    /// A fact's slot.
    Fact(Fact),
    /// `!`
    Not(Box<Self>),
    /// `-`
    Negate(Box<Self>),
    /// `&&` over one or more.
    All(Box<[Self]>),
    /// `||` over one or more.
    Any(Box<[Self]>),
    /// `if .. then .. else ..`
    If(Box<[Self; 3]>),
    /// `==`, `<` and so on.
    Compare(Comparison, Box<[Self; 2]>),
    /// `+`, `-`, `*`.
    Arithmetic(Arithmetic, Box<[Self; 2]>),
    /// Whether the value is one of these literals.
    Among(Box<Self>, Box<[Self]>),
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The fact was never set.
    #[error("{} is not known", .0.path())]
    Unset(Fact),
    /// The result does not fit 64 bits.
    #[error("the arithmetic overflows 64 bits")]
    Overflow,
    /// An operand of the wrong type: cannot happen in a program that was checked.
    #[error("an operand has the wrong type")]
    Type,
}

/// The deepest nesting of an expression.
pub const DEPTH_MAX: usize = 96;
/// The most expressions in one program, counting every part.
pub const NODES_MAX: usize = 200_000;
/// The longest text literal.
pub const LITERAL_MAX: usize = 256;

/// Why an expression may not stand in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Nested too deep.
    #[error("the condition is nested deeper than {DEPTH_MAX}: split the policy")]
    Depth,
    /// Too many parts.
    #[error("the conditions have more than {NODES_MAX} parts in all: split the pack")]
    Size,
    /// A literal that is too long.
    #[error("a text in a condition is longer than {LITERAL_MAX} bytes")]
    Literal,
    /// A word that its enumeration lacks.
    #[error("{enumeration} has no such member", enumeration = .0.name())]
    Member(Enumeration),
    /// An operator with no operand.
    #[error("an operator without operands")]
    Empty,
    /// Operands of the wrong type.
    #[error("the operands of {0} have the wrong types")]
    Type(&'static str),
}

impl Expr {
    /// Checks sizes and types; `nodes` counts the parts of the whole program. Answers the expression's type.
    pub(crate) fn check(&self, depth: usize, nodes: &mut usize) -> Result<FactType, ExprError> {
        if depth > DEPTH_MAX {
            return Err(ExprError::Depth);
        }
        *nodes = nodes.saturating_add(1);
        if *nodes > NODES_MAX {
            return Err(ExprError::Size);
        }
        let mut is = |expr: &Self, ty: FactType, what| match expr.check(depth + 1, nodes)? {
            found if found == ty => Ok(()),
            _ => Err(ExprError::Type(what)),
        };
        match self {
            Self::Bool(_) => Ok(FactType::Bool),
            Self::Long(_) => Ok(FactType::Long),
            Self::Text(text) if text.len() > LITERAL_MAX => Err(ExprError::Literal),
            Self::Text(_) => Ok(FactType::Text),
            Self::Member(enumeration, word) if enumeration.members().contains(&&**word) => {
                Ok(FactType::Enum(*enumeration))
            }
            Self::Member(enumeration, _) => Err(ExprError::Member(*enumeration)),
            Self::Fact(fact) => Ok(fact.ty()),
            Self::Not(inner) => is(inner, FactType::Bool, "!").map(|()| FactType::Bool),
            Self::Negate(inner) => is(inner, FactType::Long, "-").map(|()| FactType::Long),
            Self::All(parts) | Self::Any(parts) => {
                if parts.is_empty() {
                    return Err(ExprError::Empty);
                }
                parts.iter().try_for_each(|part| is(part, FactType::Bool, "&& and ||"))?;
                Ok(FactType::Bool)
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                is(condition, FactType::Bool, "if")?;
                let ty = then.check(depth + 1, nodes)?;
                if otherwise.check(depth + 1, nodes)? == ty { Ok(ty) } else { Err(ExprError::Type("if")) }
            }
            Self::Compare(comparison, pair) => {
                let [left, right] = &**pair;
                let ty = left.check(depth + 1, nodes)?;
                let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
                let same = right.check(depth + 1, nodes)? == ty;
                if same && (!ordered || ty == FactType::Long) {
                    Ok(FactType::Bool)
                } else {
                    Err(ExprError::Type(comparison.sign()))
                }
            }
            Self::Arithmetic(operation, pair) => {
                pair.iter().try_for_each(|part| is(part, FactType::Long, operation.sign()))?;
                Ok(FactType::Long)
            }
            Self::Among(value, set) => {
                if set.is_empty() {
                    return Err(ExprError::Empty);
                }
                let ty = value.check(depth + 1, nodes)?;
                for literal in set {
                    if literal.literal().is_none() || literal.check(depth + 1, nodes)? != ty {
                        return Err(ExprError::Type("contains"));
                    }
                }
                Ok(FactType::Bool)
            }
        }
    }

    /// The value of a literal.
    pub fn literal(&self) -> Option<Value<'_>> {
        match self {
            Self::Bool(value) => Some(Value::Bool(*value)),
            Self::Long(value) => Some(Value::Long(*value)),
            Self::Text(value) | Self::Member(_, value) => Some(Value::Text(value)),
            _ => None,
        }
    }

    /// The value of the expression over these facts.
    pub fn value<'v>(&'v self, facts: &'v Facts<'_>) -> Result<Value<'v>, EvalError> {
        match self {
            Self::Text(text) | Self::Member(_, text) => Ok(Value::Text(text)),
            Self::Fact(fact) => match facts.get(*fact) {
                Value::Unset => Err(EvalError::Unset(*fact)),
                value => Ok(value),
            },
            Self::Long(_) | Self::Negate(_) | Self::Arithmetic(..) => self.number(facts).map(Value::Long),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(facts)? { then.value(facts) } else { otherwise.value(facts) }
            }
            _ => self.truth(facts).map(Value::Bool),
        }
    }

    /// The truth of the expression over these facts.
    pub fn truth(&self, facts: &Facts<'_>) -> Result<bool, EvalError> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Fact(fact) => match facts.get(*fact) {
                Value::Bool(value) => Ok(value),
                Value::Unset => Err(EvalError::Unset(*fact)),
                _ => Err(EvalError::Type),
            },
            Self::Not(inner) => inner.truth(facts).map(|value| !value),
            Self::All(parts) => {
                for part in parts {
                    if !part.truth(facts)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.truth(facts)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(facts)? { then.truth(facts) } else { otherwise.truth(facts) }
            }
            Self::Compare(comparison, pair) => {
                let [left, right] = &**pair;
                match comparison {
                    Comparison::Equal => Ok(left.value(facts)? == right.value(facts)?),
                    Comparison::NotEqual => Ok(left.value(facts)? != right.value(facts)?),
                    Comparison::Less => Ok(left.number(facts)? < right.number(facts)?),
                    Comparison::LessOrEqual => Ok(left.number(facts)? <= right.number(facts)?),
                    Comparison::Greater => Ok(left.number(facts)? > right.number(facts)?),
                    Comparison::GreaterOrEqual => Ok(left.number(facts)? >= right.number(facts)?),
                }
            }
            Self::Among(value, set) => {
                let value = value.value(facts)?;
                Ok(set.iter().any(|literal| literal.literal() == Some(value)))
            }
            _ => Err(EvalError::Type),
        }
    }

    fn number(&self, facts: &Facts<'_>) -> Result<i64, EvalError> {
        match self {
            Self::Long(value) => Ok(*value),
            Self::Fact(fact) => match facts.get(*fact) {
                Value::Long(value) => Ok(value),
                Value::Unset => Err(EvalError::Unset(*fact)),
                _ => Err(EvalError::Type),
            },
            Self::Negate(inner) => inner.number(facts)?.checked_neg().ok_or(EvalError::Overflow),
            Self::Arithmetic(operation, pair) => {
                let [left, right] = &**pair;
                let (left, right) = (left.number(facts)?, right.number(facts)?);
                match operation {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                }
                .ok_or(EvalError::Overflow)
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(facts)? { then.number(facts) } else { otherwise.number(facts) }
            }
            _ => Err(EvalError::Type),
        }
    }
}
