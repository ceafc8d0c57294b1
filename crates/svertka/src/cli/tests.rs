use super::*;

fn parse(line: &str) -> Result<ArgMatches, clap::Error> {
    command().try_get_matches_from(line.split_whitespace())
}

#[test]
fn the_parser_is_sound() {
    command().debug_assert();
}

#[test]
fn every_verb_has_a_manual() {
    for verb in VERBS {
        let words = verb.path.join(" ");
        let help = parse(&format!("svertka {words} --help")).unwrap_err();
        assert_eq!(help.kind(), ErrorKind::DisplayHelp, "{words}");
        let text = help.render().to_string();
        assert!(text.contains(&format!("Usage: {}", verb.line())), "{text}");
        assert!(text.lines().next().unwrap().len() > 20, "{words} says what it does: {text}");
        for option in verb.usage.split(&['[', ']', ' ']).filter(|word| word.starts_with('-')) {
            assert!(text.contains(option), "{words} explains {option}: {text}");
        }
    }
}

#[test]
fn the_readme_lists_exactly_the_verbs() {
    let readme = include_str!("../../../../README.md");
    let from = readme.lines().skip_while(|line| *line != "```text").skip(1);
    let listed: Vec<&str> = from.take_while(|line| *line != "```").collect();
    let verbs: Vec<String> = VERBS.iter().map(Verb::line).collect();
    assert_eq!(listed, verbs);
}

#[test]
fn wrong_use_is_told_in_one_line() {
    for line in ["svertka fly", "svertka model show", "svertka data check --depth 3"] {
        let error = parse(line).unwrap_err();
        let Err(Failure::Usage(message)) = answer(&error) else { panic!("{line}") };
        assert!(!message.contains('\n') && !message.is_empty(), "{line}: {message}");
    }
}
