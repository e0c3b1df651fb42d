//! Why a withdrawal was decided as it was: the facts, the policies, the obligations, the events.

use holdfast_server::why::why;
use holdfast_values::WithdrawalId;

use crate::fixture::Books;

#[test]
fn tells_facts_policies_and_events_of_every_decision() {
    let mut books = Books::new();
    books.ordinary_day();
    let reader = books.journal.reader().unwrap();

    let story = why(&reader, books.id("held")).unwrap();
    let first = &story.chapters[0];
    assert_eq!(first.command, "request_withdrawal");
    let weighed = first.weighed.as_ref().unwrap();
    assert!(weighed.permitted);
    let ids: Vec<&str> = weighed.policies.iter().map(|policy| policy.id.as_str()).collect();
    assert_eq!(ids, ["open", "code", "large"]);
    assert!(
        weighed.facts.contains(&("amount_usd_cents", "5310000 (53100.00 USD)".to_owned())),
        "{weighed:?}"
    );
    assert!(weighed.policies[2].grounds[0].contains("amount_usd_cents > 5000000"), "{weighed:?}");
    assert_eq!(first.decision.as_ref().unwrap()["status"], "held");
    let approved = story.chapters.iter().find(|chapter| chapter.command == "operator_act").unwrap();
    let facts = &approved.weighed.as_ref().unwrap().facts;
    assert!(facts.contains(&("approval.operators", "2 operators".to_owned())), "{facts:?}");
    let last = story.chapters.last().unwrap();
    assert_eq!(last.events.last().unwrap()["type"], "withdrawal_expired");

    let code = why(&reader, books.id("code")).unwrap();
    let shown = code.chapters.iter().find(|chapter| chapter.command == "report_one_time_code").unwrap();
    let facts = &shown.weighed.as_ref().unwrap().facts;
    assert!(facts.contains(&("approval.one_time_code", "true".to_owned())), "{facts:?}");

    assert!(code.text().contains("reserved class=aged") || code.text().contains("reserved class=unvouched"));
    let text = story.text();
    for part in [
        "large: hold (large_amount)",
        "amount_usd_cents = 5310000",
        "hold -> held",
        "case_approved operators=2",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(story.json()["records"][0]["weighed"]["policies"][1]["id"], "code");
}

#[test]
fn the_facts_are_those_that_led_to_the_recorded_decision() {
    let mut books = Books::new();
    books.traffic(21, 400);
    let reader = books.journal.reader().unwrap();
    let mut checked = 0;
    for id in books.world.ids.values().take(150) {
        let Ok(story) = why(&reader, *id) else { continue };
        for chapter in story.chapters {
            let (Some(weighed), Some(decision)) = (chapter.weighed, chapter.decision) else { continue };
            // Every policy that the decision names is found again in the facts, and the other way round; a rung of
            // the ladder, or somebody of the staff, may have spoken before the policy was asked.
            let mut named: Vec<&str> = decision["reasons"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|reason| reason["policy"].as_str())
                .collect();
            let mut found: Vec<&str> = weighed
                .policies
                .iter()
                .filter(|policy| policy.effect != "permit")
                .map(|policy| policy.id.as_str())
                .collect();
            named.sort_unstable();
            found.sort_unstable();
            if !named.is_empty() {
                assert_eq!(named, found, "{id} at {}", chapter.sequence);
                checked += 1;
            }
        }
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn says_if_there_is_no_such_withdrawal() {
    let books = Books::new();
    let error = why(&books.journal.reader().unwrap(), WithdrawalId(7)).unwrap_err();
    assert_eq!(error.code(), "withdrawal_not_found");
}
