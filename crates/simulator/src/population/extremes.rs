//! The benign extremes, as far as a person joins in. Prices, rhythm and networks of such days are `world`'s and `networks`'.

use holdfast_values::{Micros, time};

use super::odds;
use super::person::Kind;
use super::scene::{Scene, Whom, Wish};

/// Of all customers, those who withdraw in a run, beside those who would have done so anyway: a quarter together.
pub(super) const RUN: f64 = 0.235;
/// Of all customers, those who want what an airdrop gives.
pub(super) const AIRDROP: f64 = 0.08;

/// What somebody does today only because everybody does.
pub(super) fn join(scene: &mut Scene<'_>, since: Micros) {
    if scene.person.kind >= Kind::MarketMaker {
        return;
    }
    let today = scene.world.today;
    if today.is_run && scene.chance(RUN) {
        // The rumour is out at ten; half of those who run have run by one.
        let hours = odds::exponential(&mut scene.draw) * 4.3;
        let at = (10 * time::HOUR).saturating_add(odds::whole(hours * time::HOUR as f64));
        let at = at.min(24 * time::HOUR - 15 * time::MINUTE).max(since);
        let to = if scene.chance(scene.world.calibrated.new) { Whom::New } else { Whom::Known };
        let share = odds::between(&mut scene.draw, 0.5, 0.98);
        let facts = scene.sign_in(at);
        scene.withdraw(at, &facts, Wish { share, to, may_plan: false });
    }
    if today.is_airdrop && scene.chance(AIRDROP) {
        let hours = odds::between(&mut scene.draw, 8.0, 20.0);
        let at = odds::whole(hours * time::HOUR as f64).max(since);
        let facts = scene.sign_in(at);
        // About a tenth of an ether, or what there is.
        let owned = scene.person.eth as f64;
        let units = odds::log_normal(&mut scene.draw, 1e7, 0.5);
        let share = if owned > 0.0 { (units / owned).min(0.95) } else { 0.5 };
        scene.withdraw(at, &facts, Wish { share, to: Whom::Fresh, may_plan: false });
    }
}
