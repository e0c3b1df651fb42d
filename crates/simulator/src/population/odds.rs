//! The few distributions that people are drawn from. Functions come from `libm`: the same bits on every platform.

use rand::RngExt as _;
use rand_distr::{Exp1, StandardNormal};

use crate::draw::Draw;

/// True with probability `p`.
pub(super) fn chance(draw: &mut Draw, p: f64) -> bool {
    draw.random::<f64>() < p
}

/// Uniform in `0..n`; 0 if `n` is.
pub(super) fn below(draw: &mut Draw, n: u32) -> u32 {
    draw.random_range(0..n.max(1))
}

/// Uniform between two values.
pub(super) fn between(draw: &mut Draw, low: f64, high: f64) -> f64 {
    low + (high - low) * draw.random::<f64>()
}

/// Mean 1.
pub(super) fn exponential(draw: &mut Draw) -> f64 {
    draw.sample(Exp1)
}

/// Mean 0, standard deviation 1.
pub(super) fn normal(draw: &mut Draw) -> f64 {
    draw.sample(StandardNormal)
}

/// Log-normal by its median and the standard deviation of its logarithm.
pub(super) fn log_normal(draw: &mut Draw, median: f64, sigma: f64) -> f64 {
    median * libm::exp(sigma * normal(draw))
}

/// Pareto: `P(X > x) = (scale / x)^alpha` from `scale` on.
pub(super) fn pareto(draw: &mut Draw, scale: f64, alpha: f64) -> f64 {
    // In (0, 1]: nothing is infinite.
    let u = 1.0 - draw.random::<f64>();
    scale * libm::pow(u, -1.0 / alpha)
}

/// Lomax, a Pareto that begins at zero, with this mean; `alpha` above 1.
pub(super) fn lomax(draw: &mut Draw, mean: f64, alpha: f64) -> f64 {
    pareto(draw, 1.0, alpha).mul_add(1.0, -1.0) * mean * (alpha - 1.0)
}

/// The place of a drawn one among weights.
pub(super) fn weighted(draw: &mut Draw, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let all: u32 = weights.clone().fold(0, u32::saturating_add);
    let mut left = below(draw, all);
    for (place, weight) in weights.enumerate() {
        if left < weight {
            return place;
        }
        left -= weight;
    }
    0
}

/// Whole part of a value that is not negative, saturating.
pub(super) const fn whole(value: f64) -> u64 {
    // Casts of floats saturate, and NaN is zero.
    value as u64
}
