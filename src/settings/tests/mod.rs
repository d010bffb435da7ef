//! Rules over the whole table, the checks, and the command line.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use super::cli::{self, CommandLine, End};
use super::*;

mod machine;
mod memory;
mod near;

fn nothing(_: &str) -> Option<String> {
    None
}

fn check(name: &str, raw: impl Into<Raw>) -> Result<Value, String> {
    find(name).unwrap().kind.check(&raw.into(), &here(&nothing)).map_err(|fault| fault.message)
}

/// Surroundings with the variables that `lookup` knows, one user and one group.
fn here(lookup: &dyn Fn(&str) -> Option<String>) -> Surroundings<'_> {
    Surroundings {
        variable: lookup,
        start_directory: Path::new("/usr"),
        account: &|account, name| match (account, name) {
            (Account::User, None) => Some(1000),
            (Account::Group, None) => Some(100),
            (Account::User, Some("www-data")) => Some(33),
            (Account::Group, Some("staff")) => Some(50),
            _ => None,
        },
        home: &|| Some("/home/user".into()),
    }
}

fn program<'a>(settings: cli::Settings<'a>) -> cli::Program<'a> {
    cli::Program { name: "rgunicorn", usage: "rgunicorn [OPTIONS] [APP_MODULE]", settings }
}

fn all() -> Vec<&'static Setting> {
    SETTINGS.iter().collect()
}

fn default_with(name: &str, variable: &'static str, text: &'static str) -> Result<Value, String> {
    let lookup = |asked: &str| (asked == variable).then(|| text.to_owned());
    find(name).unwrap().default_value(&here(&lookup)).map_err(|fault| fault.message)
}

fn parse(line: &str) -> Result<CommandLine, End> {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    cli::parse(program(&all()), &words)
}

fn given(line: &str, name: &str) -> Raw {
    let parsed = parse(line).unwrap();
    let found = parsed.given.into_iter().find(|(setting, _)| setting.name == name);
    found.unwrap_or_else(|| panic!("{line} does not give {name}")).1
}

fn mistake(line: &str) -> String {
    match parse(line) {
        Err(End::Mistake(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn texts(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| (*item).to_owned()).collect())
}

#[test]
fn names_and_flags_are_unique() {
    let mut seen = HashSet::new();
    for setting in SETTINGS {
        assert!(seen.insert(setting.name), "{}", setting.name);
        assert!(seen.insert(setting.class), "{}", setting.class);
        for flag in setting.flags {
            assert!(seen.insert(flag), "{flag}");
        }
    }
}

#[test]
fn names_are_lower_case_and_flags_are_options() {
    for setting in SETTINGS {
        assert!(
            setting.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'2')),
            "{}",
            setting.name
        );
        for flag in setting.flags {
            assert!(flag.starts_with("--") || (flag.len() == 2 && flag.starts_with('-')), "{flag}");
        }
        assert_eq!(setting.flags.is_empty(), setting.takes == Takes::Nowhere, "{}", setting.name);
    }
}

#[test]
fn what_an_option_takes_fits_the_kind() {
    for setting in SETTINGS {
        let fits = match setting.takes {
            Takes::Nowhere => true,
            Takes::Nothing { .. } => setting.kind == Kind::Bool,
            Takes::Whole(_) | Takes::Mode(_) => matches!(setting.kind, Kind::Count | Kind::Bounded { .. }),
            Takes::WholeOr(..) => setting.kind == Kind::Workers,
            Takes::Several(_) => matches!(setting.kind, Kind::List | Kind::Addresses | Kind::Files),
            Takes::Optional { .. } => matches!(setting.kind, Kind::Choice(_)),
            Takes::Text(_) => {
                !matches!(setting.kind, Kind::Bool | Kind::List | Kind::Addresses | Kind::Hook(_))
            }
        };
        assert!(fits, "{}", setting.name);
    }
}

#[test]
fn every_default_passes_its_own_check() {
    for setting in SETTINGS.iter().filter(|setting| !matches!(setting.kind, Kind::Hook(_))) {
        let checked = setting.kind.check(&setting.default.into(), &here(&nothing));
        assert!(checked.is_ok(), "{}: {checked:?}", setting.name);
    }
}

#[test]
fn every_setting_has_a_section_and_a_description() {
    for setting in SETTINGS {
        assert!(Section::ALL.contains(&setting.section), "{}", setting.name);
        assert!(setting.summary().ends_with(['.', ':']), "{}: {}", setting.name, setting.summary());
        assert!(!setting.description.ends_with('\n'), "{}", setting.name);
    }
}

#[test]
fn clap_accepts_the_table() {
    cli::command(program(&all())).debug_assert();
}

#[test]
fn the_settings_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == markdown(), "docs/settings.md is stale: python -m rgunicorn.config --markdown");
}

#[test]
fn a_path_of_a_url_begins_with_a_slash_and_has_no_query() {
    assert_eq!(check("ready_path", " /ready "), Ok(Value::Text("/ready".into())));
    assert_eq!(check("ready_path", Raw::None), Ok(Value::None));
    for text in ["ready", "", "http://a/ready", "/ready?", "/#"] {
        let message = format!("Not a path that begins with '/', without a query: {text}");
        assert_eq!(check("ready_path", text), Err(message), "{text}");
    }
}

#[test]
fn counts_are_read_as_python_reads_numbers() {
    for (text, number) in
        [("4", 4), (" 4 ", 4), ("0x10", 16), ("0o17", 15), ("0b11", 3), ("1_000", 1000), ("00", 0)]
    {
        assert_eq!(check("workers", text), Ok(Value::Int(number)), "{text}");
    }
    assert_eq!(check("workers", Raw::Bool(true)), Ok(Value::Int(1)));
    for text in ["", "abc", "010", "1.5", "1__0", "_1", "1_", "0x", "+-1", "AUTO"] {
        let message = format!("invalid literal for int() with base 0: '{text}'");
        assert_eq!(check("workers", text), Err(message), "{text}");
    }
    assert_eq!(check("workers", "-3"), Err("Value must be positive: -3".into()));
    assert_eq!(check("workers", Raw::None), Err("None is not a whole number".into()));
    assert!(check("workers", Raw::Int(1 << 64)).is_err());
}

#[test]
fn booleans_are_never_numbers() {
    assert_eq!(check("preload_app", "TRUE "), Ok(Value::Bool(true)));
    assert_eq!(check("preload_app", Raw::None), Ok(Value::None));
    assert_eq!(check("sendfile", Raw::None), Ok(Value::None));
    assert_eq!(check("preload_app", "yes"), Err("Invalid boolean: yes".into()));
    assert_eq!(check("preload_app", Raw::Int(1)), Err("Invalid type for casting: 1".into()));
}

#[test]
fn one_text_is_a_list_of_one_and_is_not_split() {
    assert_eq!(check("bind", " a:1,b:2 "), Ok(texts(&["a:1,b:2"])));
    assert_eq!(check("bind", Raw::None), Ok(texts(&[])));
    assert_eq!(check("bind", Raw::List(vec!["a".into(), Raw::Int(1)])), Err("Not a string: 1".into()));
    assert_eq!(check("bind", Raw::Int(8000)), Err("Not a string: 8000".into()));
}

#[test]
fn comma_lists_are_one_text() {
    assert_eq!(check("forwarder_headers", " A, B ,,"), Ok(texts(&["A", "B"])));
    let list = Raw::List(vec!["A".into(), "B".into()]);
    assert_eq!(check("forwarder_headers", list), Err("Not a string: ['A', 'B']".into()));
    assert_eq!(check("forwarder_headers", Raw::List(vec![])), Err("Not a string: []".into()));
}

#[test]
fn allow_lists_hold_strict_networks() {
    let good =
        ["*", "127.0.0.1", "::1", "10.0.0.0/8", "fe80::/10", "10.0.0.0/255.0.0.0", "10.0.0.0/0.0.0.255"];
    assert_eq!(check("forwarded_allow_ips", good.join(",").as_str()), Ok(texts(&good)));
    assert_eq!(
        check("forwarded_allow_ips", "192.168.1.1/24"),
        Err("192.168.1.1/24 has host bits set".into())
    );
    for bad in ["localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/0.255.0.1", "/8"] {
        let message = format!("'{bad}' does not appear to be an IPv4 or IPv6 network");
        assert_eq!(check("forwarded_allow_ips", bad), Err(message));
    }
}

#[test]
fn directories_exist_and_become_absolute() {
    assert_eq!(check("chdir", "./bin/../lib"), Ok(Value::Text("/usr/lib".into())));
    assert_eq!(check("chdir", "/tmp"), Ok(Value::Text("/tmp".into())));
    assert_eq!(check("chdir", "nosuch"), Err("can't chdir to 'nosuch'".into()));
    assert_eq!(check("chdir", "/dev/null"), Err("can't chdir to '/dev/null'".into()));
}

#[test]
fn choices_are_words_in_any_case() {
    let refused = |name: &str, raw: Raw| check(name, raw).unwrap_err();
    let word = |text: &str| Ok(Value::Text(text.into()));
    assert_eq!(check("header_map", " Refuse"), word("refuse"));
    assert_eq!(refused("header_map", "X".into()), "Invalid header map behaviour: X");
    assert_eq!(refused("header_map", Raw::Int(1)), "Invalid type for casting: 1");
    assert_eq!(refused("asgi_loop", "X".into()), "Invalid ASGI loop: x");
    assert_eq!(refused("asgi_lifespan", "X".into()), "Invalid ASGI lifespan: x");
    assert_eq!(refused("http_parser", "x".into()), "http_parser must be one of: auto, fast, python");
    assert_eq!(refused("http_parser", Raw::Int(1)), "http_parser must be a string");
    for (given, meant) in
        [("False", "off"), ("0", "off"), ("none", "off"), ("TRUE", "auto"), ("1", "auto"), ("v2", "v2")]
    {
        assert_eq!(check("proxy_protocol", given), word(meant), "{given}");
    }
    assert_eq!(check("proxy_protocol", Raw::Bool(true)), word("auto"));
    assert_eq!(refused("proxy_protocol", "app:app".into()), "proxy_protocol must be: off, v1, v2, or auto");
    assert_eq!(refused("proxy_protocol", Raw::Int(1)), "proxy_protocol must be string or bool");
    assert_eq!(check("http2_cleartext", Raw::Bool(true)), word("prior-knowledge"));
    assert_eq!(refused("http2_cleartext", "X".into()), "Invalid http2_cleartext: x");
}

#[test]
fn the_engine_of_the_reloader_is_written_exactly() {
    assert_eq!(check("reload_engine", "poll"), Ok(Value::Text("poll".into())));
    assert_eq!(check("reload_engine", "Poll"), Err("Invalid reload_engine: 'Poll'".into()));
    assert_eq!(check("reload_engine", Raw::None), Err("Invalid reload_engine: None".into()));
}

#[test]
fn protocols_are_listed_once_each() {
    assert_eq!(check("http_protocols", "H2, h1"), Ok(texts(&["h2", "h1"])));
    assert_eq!(check("http_protocols", " , "), Ok(texts(&["h1"])));
    assert_eq!(check("http_protocols", Raw::None), Ok(texts(&["h1"])));
    assert_eq!(check("http_protocols", "h3"), Err("Invalid protocol 'h3'. Valid protocols: h1, h2".into()));
    assert_eq!(check("http_protocols", "h1,h1"), Err("Duplicate protocols specified".into()));
    assert_eq!(check("http_protocols", Raw::List(vec![])), Err("http_protocols must be a string".into()));
}

#[test]
fn bounded_numbers_say_their_bounds() {
    assert_eq!(check("http2_max_frame_size", "0x4000"), Ok(Value::Int(16384)));
    for (name, number, message) in [
        ("http2_max_frame_size", -1, "http2_max_frame_size must be between 16384 and 16777215, got -1"),
        ("http2_max_concurrent_streams", 0, "HTTP/2 max concurrent streams must be at least 1: 0"),
        ("http2_initial_window_size", 1 << 31, "HTTP/2 window size must be at most 2147483647: 2147483648"),
    ] {
        assert_eq!(check(name, Raw::Int(number)), Err(message.into()));
    }
}

#[test]
fn accounts_are_ids_or_names() {
    for (given, id) in [("33", 33), ("www-data", 33)] {
        assert_eq!(check("user", given), Ok(Value::Int(id)), "{given}");
    }
    assert_eq!(check("user", Raw::Int(7)), Ok(Value::Int(7)));
    assert_eq!(check("user", Raw::None), Ok(Value::Int(1000)));
    assert_eq!(check("group", "staff"), Ok(Value::Int(50)));
    assert_eq!(check("user", "staff"), Err("No such user: 'staff'".into()));
    assert_eq!(check("group", ""), Err("No such group: ''".into()));
}

#[test]
fn addresses_of_metrics_are_hosts_or_paths() {
    let host = |host: &str, port| Ok(Value::Address(host.into(), port));
    assert_eq!(check("statsd_host", "LocalHost:9125"), host("localhost", 9125));
    assert_eq!(check("statsd_host", "h"), host("h", 8125));
    assert_eq!(check("statsd_host", "[::1]:9"), host("::1", 9));
    assert_eq!(check("statsd_host", "[::1]"), host("::1", 8125));
    assert_eq!(check("statsd_host", "unix:8125"), host("unix", 8125));
    assert_eq!(check("statsd_host", "unix:///run/x"), Ok(Value::Text("/run/x".into())));
    assert_eq!(check("statsd_host", "unix:rel"), Ok(Value::Text("rel".into())));
    assert_eq!(check("statsd_host", Raw::None), Ok(Value::None));
    for bad in ["h:x", "h:", "fd://3"] {
        let message = "Value must be one of ('host:port', 'unix://PATH')";
        assert_eq!(check("statsd_host", bad), Err(message.into()), "{bad}");
    }
}

#[test]
fn files_exist_unless_they_are_patterns() {
    let good = Raw::List(vec!["/dev/null".into(), "/nosuch/*.html".into()]);
    assert_eq!(check("reload_extra_files", good), Ok(texts(&["/dev/null", "/nosuch/*.html"])));
    assert_eq!(check("reload_extra_files", "/nosuch"), Err("File /nosuch does not exists.".into()));
}

#[test]
fn hooks_are_counted_by_their_positional_parameters() {
    let callable =
        |positional| Raw::Object { nature: Nature::Callable { positional }, shown: "<function f>".into() };
    assert_eq!(check("post_fork", callable(2)), Ok(Value::Given));
    assert_eq!(check("post_fork", callable(1)), Err("Value must have an arity of: 2".into()));
    for arity in [2, 3, 4] {
        assert_eq!(check("post_request", callable(arity)), Ok(Value::Given));
    }
    assert_eq!(check("post_request", callable(0)), Err("Value must have an arity of: 4".into()));
    assert_eq!(check("post_fork", "x"), Err("Value is not callable: x".into()));
}

#[test]
fn the_environment_gives_defaults() {
    assert_eq!(default_with("bind", "PORT", "5000"), Ok(texts(&["0.0.0.0:5000"])));
    assert_eq!(default_with("workers", "WEB_CONCURRENCY", "3"), Ok(Value::Int(3)));
    assert_eq!(default_with("workers", "OTHER", "3"), Ok(Value::Int(1)));
    assert_eq!(default_with("forwarded_allow_ips", "FORWARDED_ALLOW_IPS", "*"), Ok(texts(&["*"])));
    assert_eq!(default_with("workers", "WEB_CONCURRENCY", "auto"), Ok(Value::Text("auto".into())));
    let message = "invalid literal for int() with base 0: 'many'";
    assert_eq!(default_with("workers", "WEB_CONCURRENCY", "many"), Err(message.into()));
    let many = |_: &str| Some("many".to_owned());
    let (raw, source) = find("workers").unwrap().initial(&here(&many));
    assert_eq!(raw, Raw::from("many"));
    assert_eq!(source.unwrap().named().unwrap(), "the environment variable WEB_CONCURRENCY");
}

#[test]
fn a_platforms_panel_gives_defaults_and_empty_is_unset() {
    assert_eq!(default_with("timeout", "CC_GUNICORN_TIMEOUT", "90"), Ok(Value::Int(90)));
    assert_eq!(default_with("timeout", "CC_GUNICORN_TIMEOUT", " "), Ok(Value::Int(30)));
    assert_eq!(
        default_with("worker_class", "CC_GUNICORN_WORKER_CLASS", "a.B"),
        Ok(Value::Text("a.B".into()))
    );
    assert_eq!(default_with("loglevel", "CC_GUNICORN_LOGLEVEL", "debug"), Ok(Value::Text("debug".into())));
}

#[test]
fn who_runs_the_process_and_where_its_files_go_are_defaults() {
    assert_eq!(default_with("user", "", ""), Ok(Value::Int(1000)));
    assert_eq!(default_with("group", "", ""), Ok(Value::Int(100)));
    let path = |text: &str| Ok(Value::Text(text.into()));
    assert_eq!(default_with("control_socket", "", ""), path("/home/user/.gunicorn/gunicorn.ctl"));
    assert_eq!(default_with("control_socket", "XDG_RUNTIME_DIR", "/usr"), path("/usr/gunicorn.ctl"));
    assert_eq!(
        default_with("control_socket", "XDG_RUNTIME_DIR", "/nosuch"),
        path("/home/user/.gunicorn/gunicorn.ctl")
    );
}

#[test]
fn options_are_written_as_gunicorn_users_write_them() {
    for line in ["-w 4", "-w4", "-w=4", "--workers 4", "--workers=4", "x -w 4", "-w 2 -w 4"] {
        assert_eq!(given(line, "workers"), Raw::Int(4), "{line}");
    }
    assert_eq!(given("--timeo 5 app", "timeout"), Raw::Int(5));
    assert_eq!(given("--timeo=5 app", "timeout"), Raw::Int(5));
    assert_eq!(given("--no-sendfile", "sendfile"), Raw::Bool(false));
    assert_eq!(given("--preload --preload", "preload_app"), Raw::Bool(true));
    assert_eq!(given("-w -3", "workers"), Raw::Int(-3));
    assert_eq!(given("--access-logfile -", "accesslog"), Raw::from("-"));
    assert_eq!(given("--log-file x", "errorlog"), Raw::from("x"));
}

#[test]
fn repeated_list_options_make_one_list() {
    let both = Raw::List(vec!["a:1".into(), "[::1]:2".into()]);
    assert_eq!(given("-b a:1 app --bind=[::1]:2", "bind"), both);
    assert_eq!(given("-eA=b", "raw_env"), Raw::List(vec!["A=b".into()]));
}

#[test]
fn workers_may_be_left_to_the_server() {
    assert_eq!(given("-w auto", "workers"), Raw::from("auto"));
    assert_eq!(check("workers", " auto "), Ok(Value::Text("auto".into())));
    assert!(mistake("-w autos").contains("invalid int value: 'autos'"));
}

#[test]
fn a_mode_may_follow_the_proxy_protocol() {
    assert_eq!(given("--proxy-protocol", "proxy_protocol"), Raw::from("auto"));
    assert_eq!(given("--proxy-protocol --preload", "proxy_protocol"), Raw::from("auto"));
    assert_eq!(given("--proxy-protocol v1 app", "proxy_protocol"), Raw::from("v1"));
    assert_eq!(given("--proxy-protocol=v2 app", "proxy_protocol"), Raw::from("v2"));
    // As argparse, it takes whatever comes next.
    assert_eq!(given("--proxy-protocol app", "proxy_protocol"), Raw::from("app"));
}

#[test]
fn umask_may_be_octal() {
    for (text, number) in [("0022", 18), ("0x1F", 31), ("18", 18), ("0o22", 18), ("0", 0)] {
        assert_eq!(given(&format!("-m {text}"), "umask"), Raw::Int(number), "{text}");
    }
    assert!(mistake("-m 0088").contains("-m/--umask"));
}

#[test]
fn positionals_after_the_first_are_ignored_unless_options_come_between() {
    assert_eq!(parse("app:app extra -w 2").unwrap().positionals[0], "app:app");
    assert_eq!(parse("-w 2 app:app -t 3").unwrap().positionals, ["app:app"]);
    assert_eq!(parse("-w 2 -- app:app").unwrap().positionals, ["app:app"]);
    assert!(mistake("app:app -t 3 foo").ends_with("rgunicorn: error: unrecognized arguments: foo\n"));
    assert!(mistake("app:app --preload foo").contains("unrecognized arguments: foo"));
}

#[test]
fn text_with_a_space_is_no_option() {
    let parse = |words: &[&str]| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        cli::parse(program(&all()), &words)
            .map(|line| line.given.into_iter().map(|(_, raw)| raw).collect::<Vec<_>>())
    };
    assert_eq!(parse(&["--access-logformat", "- %(h)s", "app"]), Ok(vec![Raw::from("- %(h)s")]));
    assert_eq!(parse(&["-n", "-x y"]), Ok(vec![Raw::from("-x y")]));
    assert_eq!(parse(&["-w 4"]), Ok(vec![Raw::Int(4)]));
}

#[test]
fn only_what_is_given_counts() {
    assert!(parse("app").unwrap().given.is_empty());
}

#[test]
fn mistakes_name_the_option_and_what_is_allowed() {
    let number = mistake("-t abc");
    assert!(number.starts_with("usage: rgunicorn [OPTIONS] [APP_MODULE]\nrgunicorn: error: "), "{number}");
    assert!(
        number
            .contains("argument -t/--timeout: invalid int value: 'abc' (allowed: a whole number, 0 or more)")
    );
    assert!(mistake("app -b").contains("argument -b/--bind: expected one argument (allowed: "));
    assert!(mistake("--preload=yes").contains("argument --preload: it takes no value"));
    assert!(mistake("--wrokers 3").contains("unrecognized arguments: --wrokers (did you mean --workers?)"));
    assert!(mistake("-x3").contains("unrecognized arguments: -x3"));
    assert!(mistake("--work 3").contains("ambiguous option: --work could match --workers, --worker-class"));
}

#[test]
fn our_own_options_take_no_abbreviation_from_gunicorns() {
    assert_eq!(given("--header drop", "header_map"), Raw::from("drop"));
    assert_eq!(given("--str", "strip_header_spaces"), Raw::Bool(true));
    assert_eq!(given("--header-t 3", "header_timeout"), Raw::Int(3));
    assert_eq!(parse("-- --timeo").unwrap().positionals, ["--timeo"]);
    assert!(
        mistake("--ma 3").contains("ambiguous option: --ma could match --max-requests, --max-requests-j")
    );
}

#[test]
fn completions_and_the_manual_are_answers() {
    for shell in ["bash", "zsh", "fish"] {
        let Err(End::Answer(text)) = parse(&format!("--completions {shell}")) else { panic!("{shell}") };
        assert!(text.contains("max-requests-jitter"), "{shell}");
        assert_eq!(parse(&format!("--completions={shell}")).unwrap_err(), End::Answer(text));
    }
    assert!(mistake("--completions tcsh").contains("'tcsh' is not bash, zsh or fish"));
    let Err(End::Answer(page)) = parse("--man") else { panic!("no page") };
    assert!(page.contains(".TH rgunicorn 1"), "{page}");
    assert!(page.contains("completions <SHELL>"), "{page}");
    // Only as the first word: behind another it is an option that does not exist.
    assert!(mistake("app --man").contains("unrecognized arguments: --man"));
}

#[test]
fn help_and_version_are_answers() {
    let version = format!("rgunicorn (version {})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(parse("-v").unwrap_err(), End::Answer(version));
    let Err(End::Answer(help)) = parse("--help") else { panic!("no help") };
    assert!(help.starts_with("usage: rgunicorn [OPTIONS] [APP_MODULE]\n"), "{help}");
    for setting in SETTINGS {
        for flag in setting.flags {
            assert!(help.contains(flag), "{flag}");
        }
    }
    assert!(help.contains("Slow Clients:"), "{help}");
    assert!(help.contains("\n  --error-logfile, --log-file <FILE>\n"), "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}
