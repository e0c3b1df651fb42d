//! Browsers and apps: user agents and TLS fingerprints that belong together and change as releases roll out.

use holdfast_values::{Timestamp, time};

use super::ids::mix;
use super::odds;
use crate::draw::Draw;

/// What a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Platform {
    weight: u32,
    family: Family,
    is_mobile: bool,
    system: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Chrome,
    Edge,
    Firefox,
    Safari,
    /// The exchange's own app on Android.
    AppAndroid,
    /// And on iOS.
    AppIos,
}

const fn platform(weight: u32, family: Family, is_mobile: bool, system: &'static str) -> Platform {
    Platform { weight, family, is_mobile, system }
}

const PLATFORMS: [Platform; 11] = [
    platform(27, Family::Chrome, false, "Windows NT 10.0; Win64; x64"),
    platform(8, Family::Chrome, false, "Macintosh; Intel Mac OS X 10_15_7"),
    platform(1, Family::Chrome, false, "X11; Linux x86_64"),
    platform(7, Family::Safari, false, "Macintosh; Intel Mac OS X 10_15_7"),
    platform(5, Family::Firefox, false, "Windows NT 10.0; Win64; x64"),
    platform(1, Family::Firefox, false, "X11; Linux x86_64"),
    platform(6, Family::Edge, false, "Windows NT 10.0; Win64; x64"),
    platform(14, Family::Chrome, true, "Linux; Android 10; K"),
    platform(10, Family::Safari, true, "iPhone; CPU iPhone OS 18_7 like Mac OS X"),
    platform(12, Family::AppAndroid, true, "Android 15"),
    platform(9, Family::AppIos, true, "iOS 18.7"),
];

/// A browser, or an app, that goes with the time as everybody's does.
#[derive(Clone, Copy, Debug)]
pub struct Browser {
    pub(super) device: Device,
    /// The browser day of its run, since 1970-01-01.
    pub(super) browser_day: Option<u32>,
}

impl Browser {
    /// User agent and TLS fingerprint at an instant.
    pub fn shows(&self, at: Timestamp) -> (Box<str>, Box<str>) {
        self.device.shows(u32::try_from(at.0 / time::DAY).unwrap_or(0), self.browser_day)
    }
}

/// A device: what it runs, how late its releases come, which one of its owner's in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    platform: u8,
    /// Days from a release to its arrival here.
    lag: u8,
    /// Counts replacements.
    pub(super) serial: u16,
}

impl Device {
    /// Any, a mobile one, or one that is not.
    pub(super) fn new(draw: &mut Draw, mobile: Option<bool>, serial: u16) -> Self {
        let fits = |platform: &Platform| mobile.is_none_or(|wanted| platform.is_mobile == wanted);
        let weights = PLATFORMS.iter().map(|platform| if fits(platform) { platform.weight } else { 0 });
        let place = u8::try_from(odds::weighted(draw, weights)).unwrap_or(0);
        // Most arrive within a week, some wait for weeks to be restarted.
        let lag = odds::whole((odds::exponential(draw) * 5.0).min(40.0)) as u8;
        Self { platform: place, lag, serial }
    }

    fn kind(self) -> Platform {
        let [first, ..] = PLATFORMS;
        PLATFORMS.get(usize::from(self.platform)).copied().unwrap_or(first)
    }

    /// The next one, of the same kind.
    pub(super) const fn renewed(self) -> Self {
        Self { serial: self.serial.saturating_add(1), ..self }
    }

    /// True for telephones.
    pub(super) fn is_mobile(self) -> bool {
        self.kind().is_mobile
    }

    /// User agent and TLS fingerprint on a day since 1970-01-01. After a browser day every Chromium is one version on.
    pub(super) fn shows(self, unix_day: u32, browser_day: Option<u32>) -> (Box<str>, Box<str>) {
        let Platform { family, system, is_mobile, .. } = self.kind();
        let chromium = matches!(family, Family::Chrome | Family::Edge);
        let jumped = chromium && browser_day.is_some_and(|day| unix_day >= day);
        let mut version = family.version(unix_day.saturating_sub(u32::from(self.lag)));
        if jumped {
            // What would have come next, for all at once.
            version = version.max(family.version(browser_day.unwrap_or(unix_day)) + 1);
        }
        let mobile = if is_mobile { " Mobile" } else { "" };
        let agent = match family {
            Family::Chrome => format!(
                "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0{mobile} Safari/537.36"
            ),
            Family::Edge => format!(
                "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36 Edg/{version}.0.0.0"
            ),
            Family::Firefox => {
                format!("Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0")
            }
            Family::Safari => {
                let build = if is_mobile { " Mobile/15E148" } else { "" };
                format!(
                    "Mozilla/5.0 ({system}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.{version}{build} Safari/605.1.15"
                )
            }
            Family::AppAndroid => format!("Exchange/5.{version}.0 ({system}) okhttp/4.12.0"),
            Family::AppIos => {
                format!("Exchange/5.{version}.0 ({system}) CFNetwork/3826.600.41 Darwin/24.6.0")
            }
        };
        (agent.into(), family.fingerprint(version, jumped))
    }
}

impl Family {
    /// First release known here, its day since 1970-01-01, and days between releases.
    const fn releases(self) -> (u32, u32, u32) {
        match self {
            Self::Chrome | Self::Edge => (145, 20_494, 28),
            Self::Firefox => (147, 20_466, 28),
            Self::Safari => (3, 20_495, 56),
            Self::AppAndroid | Self::AppIos => (40, 20_500, 14),
        }
    }

    fn version(self, unix_day: u32) -> u32 {
        let (version, since, every) = self.releases();
        if unix_day >= since {
            version + (unix_day - since) / every
        } else {
            version.saturating_sub((since - unix_day).div_ceil(every))
        }
    }

    /// In the form of JA4: the same for a family's versions until its TLS library changes.
    fn fingerprint(self, version: u32, jumped: bool) -> Box<str> {
        let (start, library, every) = match self {
            Self::Chrome | Self::Edge => ("t13d1516h2", 1, 3),
            Self::Firefox => ("t13d1715h2", 2, 4),
            Self::Safari => ("t13d2014h2", 3, 4),
            Self::AppAndroid => ("t13d1613h2", 4, 12),
            Self::AppIos => ("t13d2613h2", 5, 12),
        };
        let generation = u64::from(version / every) << 1 | u64::from(jumped);
        let (ciphers, extensions) = (mix(library), mix(library << 32 | generation));
        let mask = 0xffff_ffff_ffff;
        format!("{start}_{:012x}_{:012x}", ciphers & mask, extensions & mask).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::draw;

    #[test]
    fn a_browser_and_its_fingerprint_change_over_weeks_and_belong_together() {
        let device = Device { platform: 0, lag: 3, serial: 0 };
        let shown: Vec<_> = (20_394..20_521).map(|day| device.shows(day, None)).collect();
        let mut agents: Vec<_> = shown.iter().map(|(agent, _)| agent.clone()).collect();
        agents.dedup();
        let mut prints: Vec<_> = shown.iter().map(|(_, print)| print.clone()).collect();
        prints.dedup();
        assert_eq!((agents.len(), prints.len()), (5, 2), "{agents:?} {prints:?}");
        let mut draw = draw(1, "devices", &[]);
        for _ in 0..200 {
            let (agent, print) = Device::new(&mut draw, None, 0).shows(20_514, None);
            let chromium = agent.contains("Chrome/");
            assert_eq!(chromium, print.starts_with("t13d1516h2_"), "{agent} {print}");
            assert_eq!(agent.contains("Firefox/"), print.starts_with("t13d1715h2_"), "{agent} {print}");
        }
    }

    #[test]
    fn a_browser_day_moves_every_chromium_at_once_and_nothing_else() {
        let mut draw = draw(1, "devices", &[]);
        for _ in 0..200 {
            let device = Device::new(&mut draw, None, 0);
            let (before, after) = (device.shows(20_520, None), device.shows(20_520, Some(20_520)));
            assert_eq!(before != after, before.0.contains("Chrome/"), "{before:?}");
            if before != after {
                assert!(after.0.contains("Chrome/146."), "{after:?}");
                assert_ne!(before.1, after.1);
            }
        }
    }
}
