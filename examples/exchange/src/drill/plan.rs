//! Who the customers are and what they will ask for, all of it from a seed: nothing here talks to a server.

use holdfast_values::{Micros, Timestamp, time};
use serde_json::{Value, json};

use super::coin::Coin;
use super::draw::Draw;
use super::incident;

/// Ordinary withdrawals have this median, in US cents ...
const MEDIAN_CENTS: u64 = 30_000;
/// ... and this sigma of the natural logarithm, in thousandths.
const SIGMA_MILLI: u64 = 1_500;
/// Nobody bothers to withdraw less.
const LEAST_CENTS: u64 = 2_000;
/// How many of a thousand ordinary withdrawals go to an address that the account never paid.
const NEW_PERMILLE: u64 = 400;
/// How many of a thousand customers let a program withdraw, by an API key.
const PROGRAMS_PERMILLE: u64 = 120;
/// How busy each hour of the day is, in UTC: about six-fold between night and day.
const RHYTHM: [u64; 24] = [2, 2, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 5, 5, 6, 6, 5, 4, 4, 3, 2];
/// Prices wobble by less than this, so limits in dollars are kept at this distance.
const MARGIN_PERMILLE: u64 = 950;

/// How a customer asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// On the web page.
    Session,
    /// By a program, with a signed request.
    Api,
}

/// One ordinary customer.
pub(crate) struct Customer {
    pub(crate) account: String,
    tier: &'static str,
    /// Limits in cents: of a day and of a month.
    limits: [u64; 2],
    opened_days_ago: u64,
    /// Destinations used before, and how many days ago first.
    book: Vec<(Coin, String, u64)>,
    /// Earlier withdrawals: hours ago and cents, oldest first.
    past: Vec<(u64, u64)>,
    pub(crate) channel: Channel,
}

/// One withdrawal that an ordinary customer will ask for.
pub(crate) struct Planned {
    /// After the start of its part.
    pub(crate) after: Micros,
    pub(crate) customer: usize,
    pub(crate) coin: Coin,
    pub(crate) address: String,
    pub(crate) amount: String,
    pub(crate) channel: Channel,
    /// The customer first puts the address into the book.
    pub(crate) saves_address: bool,
    /// It is within the account's limits.
    pub(crate) fits: bool,
}

/// An account that the attackers are in.
#[derive(Clone)]
pub(crate) struct Victim {
    pub(crate) account: String,
    /// The tier: `vip400`, 400 BTC a day, which is an assumption.
    tier: &'static str,
    opened_days_ago: u64,
}

/// Everybody, and what they will do.
pub(crate) struct Plan {
    pub(crate) customers: Vec<Customer>,
    /// Of the attack as it was.
    pub(crate) victims: Vec<Victim>,
    /// Of the attack in slices.
    pub(crate) more_victims: Vec<Victim>,
    pub(crate) day: Vec<Planned>,
    /// While the attack as it was goes on, and while the one in slices does.
    pub(crate) meanwhile: [Vec<Planned>; 2],
}

/// What is to be drawn.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) seed: u64,
    pub(crate) customers: usize,
    pub(crate) hours: u64,
    /// Hour of the day at which it begins.
    pub(crate) first_hour: u64,
}

/// A pay-to-witness-public-key-hash address of nobody.
pub(crate) fn bitcoin_address(draw: &mut Draw) -> String {
    bech32::segwit::encode_v0(bech32::hrp::BC, &draw.bytes::<20>()).unwrap_or_default()
}

fn address(draw: &mut Draw, coin: Coin) -> String {
    match coin {
        Coin::Btc => bitcoin_address(draw),
        Coin::Eth | Coin::Usdt => format!("0x{}", super::hex(&draw.bytes::<20>())),
    }
}

fn coin(draw: &mut Draw) -> Coin {
    Coin::ALL.get(draw.weighted(&[45, 25, 30])).copied().unwrap_or(Coin::Btc)
}

fn cents(draw: &mut Draw) -> u64 {
    draw.log_normal(MEDIAN_CENTS, SIGMA_MILLI).max(LEAST_CENTS)
}

impl Plan {
    pub(crate) fn draw(size: Size) -> Self {
        let mut draw = Draw::new(size.seed, "customers");
        let customers: Vec<Customer> = (1..=size.customers).map(|n| Customer::draw(&mut draw, n)).collect();
        let mut draw = Draw::new(size.seed, "victims");
        let mut victims = |from: usize| -> Vec<Victim> {
            (from..from.saturating_add(incident::ACCOUNTS))
                .map(|number| Victim {
                    account: format!("vip-{number:02}"),
                    tier: "vip400",
                    opened_days_ago: draw.between(200, 1_500),
                })
                .collect()
        };
        let (first, more) = (victims(1), victims(incident::ACCOUNTS.saturating_add(1)));
        let day = Self::day(size, &customers);
        let meanwhile = [0, 1].map(|part| Self::meanwhile(size, &customers, part));
        Self { customers, victims: first, more_victims: more, day, meanwhile }
    }

    fn day(size: Size, customers: &[Customer]) -> Vec<Planned> {
        let mut draw = Draw::new(size.seed, "day");
        let hours = usize::try_from(size.hours).unwrap_or(24).min(24);
        let weights: Vec<u64> = (0..hours)
            .map(|hour| u64::try_from(hour).unwrap_or(0).saturating_add(size.first_hour))
            .filter_map(|hour| RHYTHM.get(usize::try_from(hour % 24).unwrap_or(0)).copied())
            .collect();
        let mut planned = Vec::new();
        for (number, customer) in customers.iter().enumerate() {
            let count = match customer.channel {
                Channel::Api => draw.between(2, 6),
                // Two at most: a one-time code works once, and the phone shows the next one after real seconds.
                Channel::Session => {
                    if draw.permille(200) {
                        2
                    } else {
                        1
                    }
                }
            };
            let mut spent = 0;
            for _ in 0..count {
                let hour = u64::try_from(draw.weighted(&weights)).unwrap_or(0);
                let after = hour * time::HOUR + draw.below(time::HOUR);
                let beyond = customer.tier == "basic" && spent == 0 && draw.permille(70);
                let (cents, fits) = if beyond {
                    (draw.between(250_000, 400_000), false)
                } else {
                    (cents(&mut draw).min(customer.room(spent)), true)
                };
                if cents < LEAST_CENTS {
                    continue;
                }
                planned.push(Planned::draw(&mut draw, customer, number, after, cents, fits));
                if !fits {
                    break;
                }
                spent = spent.saturating_add(cents);
            }
        }
        planned.sort_by_key(|planned| planned.after);
        planned
    }

    /// A few more customers, small and on the web page, over the half hour of an attack.
    fn meanwhile(size: Size, customers: &[Customer], part: usize) -> Vec<Planned> {
        let mut draw = Draw::new(size.seed, if part == 0 { "meanwhile" } else { "meanwhile, in slices" });
        let mut planned = Vec::new();
        for (number, customer) in customers.iter().enumerate() {
            // 6 of 96 parts of the day's traffic fall into an hour like this one. Nobody is met twice.
            if number % 2 != part || customer.tier == "basic" || !draw.permille(100) {
                continue;
            }
            let (after, cents) = (draw.below(time::HOUR / 2), cents(&mut draw).min(300_000));
            let mut one = Planned::draw(&mut draw, customer, number, after, cents, true);
            one.channel = Channel::Session;
            planned.push(one);
        }
        planned.sort_by_key(|planned| planned.after);
        planned
    }

    /// The history that operators vouch for: JSON lines, as `holdfast import prepare` reads them.
    pub(crate) fn history(&self, now: Timestamp) -> String {
        let hours_ago = |hours: u64| now.minus(hours.saturating_mul(time::HOUR)).floor_second().to_string();
        let days_ago = |days: u64| hours_ago(days.saturating_mul(24));
        let customers = self.customers.iter().map(|customer| {
            let addresses: Vec<Value> = customer
                .book
                .iter()
                .map(|(coin, address, days)| {
                    json!({ "network": coin.network(), "address": address, "first_recorded_at": days_ago(*days) })
                })
                .collect();
            let usd = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
            let withdrawals: Vec<Value> = customer
                .past
                .iter()
                .map(|(hours, cents)| json!({ "at": hours_ago(*hours), "usd": usd(*cents) }))
                .collect();
            json!({ "account": customer.account, "tier": customer.tier,
                    "opened_at": days_ago(customer.opened_days_ago),
                    "addresses": addresses, "withdrawals": withdrawals })
        });
        let victims = self.all_victims().map(|victim| {
            json!({ "account": victim.account, "tier": victim.tier, "opened_at": days_ago(victim.opened_days_ago) })
        });
        customers.chain(victims).fold(String::new(), |text, line| format!("{text}{line}\n"))
    }

    pub(crate) fn all_victims(&self) -> impl Iterator<Item = &Victim> {
        self.victims.iter().chain(&self.more_victims)
    }

    /// Account and tier of everybody.
    pub(crate) fn accounts(&self) -> Vec<(String, &'static str)> {
        let customers = self.customers.iter().map(|customer| (customer.account.clone(), customer.tier));
        customers.chain(self.all_victims().map(|victim| (victim.account.clone(), victim.tier))).collect()
    }
}

impl Customer {
    fn draw(draw: &mut Draw, number: usize) -> Self {
        let is_full = draw.permille(600);
        let days = if draw.permille(70) { draw.between(3, 27) } else { draw.between(40, 1_500) };
        // Whoever has been there for a week has paid somebody.
        let book = if days < 7 {
            Vec::new()
        } else {
            (0..draw.between(1, 4))
                .map(|_| {
                    let coin = coin(draw);
                    let address = address(draw, coin);
                    (coin, address, draw.between(4, days.min(400)))
                })
                .collect()
        };
        let count = if days < 7 { 0 } else { draw.below(3) };
        let mut past: Vec<(u64, u64)> = (0..count)
            .map(|_| (draw.between(49, days.min(28).saturating_mul(24)), cents(draw).min(150_000)))
            .collect();
        past.sort_unstable_by_key(|(hours, _)| core::cmp::Reverse(*hours));
        Self {
            account: format!("cu-{number:04}"),
            tier: if is_full { "full" } else { "basic" },
            limits: if is_full { [10_000_000, 100_000_000] } else { [200_000, 2_000_000] },
            opened_days_ago: days,
            book,
            past,
            channel: if draw.permille(PROGRAMS_PERMILLE) { Channel::Api } else { Channel::Session },
        }
    }

    /// What the limits leave, in cents.
    fn room(&self, spent_today: u64) -> u64 {
        let [day, month] = self.limits.map(|limit| limit.saturating_mul(MARGIN_PERMILLE) / 1_000);
        let past: u64 = self.past.iter().map(|(_, cents)| cents).sum();
        day.saturating_sub(spent_today).min(month.saturating_sub(past).saturating_sub(spent_today))
    }
}

impl Planned {
    fn draw(
        draw: &mut Draw,
        customer: &Customer,
        number: usize,
        after: Micros,
        cents: u64,
        fits: bool,
    ) -> Self {
        let known = usize::try_from(draw.next() % 1_024).unwrap_or(0);
        let known = known.checked_rem(customer.book.len()).and_then(|place| customer.book.get(place));
        let is_new = draw.permille(NEW_PERMILLE);
        let saves_address = draw.permille(400);
        let (coin, address, is_new) = match known.filter(|_| !is_new) {
            Some((coin, address, _)) => (*coin, address.clone(), false),
            None => {
                let coin = coin(draw);
                (coin, address(draw, coin), true)
            }
        };
        Self {
            after,
            customer: number,
            coin,
            address,
            amount: coin.amount(cents),
            channel: customer.channel,
            saves_address: is_new && saves_address && customer.channel == Channel::Session,
            fits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { seed: 1, customers: 2_000, hours: 24, first_hour: 16 };

    #[test]
    fn the_day_is_what_was_promised() {
        let plan = Plan::draw(SIZE);
        let of = |part: usize| part * 1_000 / plan.day.len();
        let known = |planned: &Planned| {
            plan.customers[planned.customer].book.iter().any(|(_, address, _)| *address == planned.address)
        };
        let new = of(plan.day.iter().filter(|planned| !known(planned)).count());
        assert!((390..450).contains(&new), "{new} of 1,000 to new addresses");
        let api = of(plan.day.iter().filter(|planned| planned.channel == Channel::Api).count());
        assert!((200..400).contains(&api), "{api} of 1,000 by programs");
        let beyond = of(plan.day.iter().filter(|planned| !planned.fits).count());
        assert!((5..50).contains(&beyond), "{beyond} of 1,000 beyond limits");
        let old = plan.customers.iter().filter(|c| c.opened_days_ago > 30).count();
        assert!(old * 100 / plan.customers.len() > 85, "{old} accounts older than 30 days");
        assert!(plan.day.windows(2).all(|pair| pair[0].after <= pair[1].after));
        let night = plan.day.iter().filter(|p| (10..12).contains(&(p.after / time::HOUR))).count();
        let noon = plan.day.iter().filter(|p| (19..21).contains(&(p.after / time::HOUR))).count();
        assert!(noon > 3 * night, "{noon} at noon, {night} at night");
    }

    #[test]
    fn the_history_is_one_line_for_each_account() {
        let plan = Plan::draw(Size { customers: 50, ..SIZE });
        let now = Timestamp::parse("2019-05-06T16:00:00Z").unwrap();
        let history = plan.history(now);
        assert_eq!(history.lines().count(), plan.accounts().len());
        for line in history.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(Timestamp::parse(line["opened_at"].as_str().unwrap()).unwrap() < now);
        }
        assert_eq!(history, Plan::draw(Size { customers: 50, ..SIZE }).history(now), "the same seed");
    }
}
