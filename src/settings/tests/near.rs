//! Which names are taken for mistakes, and which for helpers.

use super::*;

fn meant_by(name: &str) -> Option<&'static str> {
    meant(name).map(|setting| setting.name)
}

#[test]
fn what_people_write_by_mistake_is_understood() {
    for (written, name) in [
        ("worker", "workers"),
        ("Workers", "workers"),
        ("time_out", "timeout"),
        ("keep_alive", "keepalive"),
        ("preload", "preload_app"),
        ("max_request", "max_requests"),
        ("max_requests_per_child", "max_requests"),
        ("worker_int_class", "worker_class"),
        ("max_worker_connections", "worker_connections"),
        ("logfile", "errorlog"),
        ("log_level", "loglevel"),
        ("access_logfile", "accesslog"),
        ("bind_address", "bind"),
        ("pid_file", "pidfile"),
        ("gracefull_timeout", "graceful_timeout"),
        ("forwarded_allow_ip", "forwarded_allow_ips"),
        ("tiemout", "timeout"),
        ("post_frok", "post_fork"),
        ("worker_init", "post_worker_init"),
        ("thread", "threads"),
    ] {
        assert_eq!(meant_by(written), Some(name), "{written}");
    }
}

#[test]
fn settings_constants_and_helpers_are_no_mistakes() {
    let helpers = "host port debug name command autorestart handle_exception use_bind bind_env cores web_concurrency \
        workers_per_core workers_per_core_str default_web_concurrency max_workers max_workers_str use_max_workers \
        use_loglevel accesslog_var use_accesslog errorlog_var use_errorlog graceful_timeout_str timeout_str \
        keepalive_str log_data cpu_count cpus env environment server_name users path paths base_dir project_dir \
        log_dir logs root app application django_settings settings module os sys json worker_id worker_name \
        TIMEOUT WORKERS _workers __all__ x i";
    for name in helpers.split_whitespace() {
        assert_eq!(meant_by(name), None, "{name}");
    }
    for setting in SETTINGS {
        assert_eq!(meant_by(setting.name), None);
    }
}

#[test]
fn the_tables_mistakes_are_unique_and_lead_where_they_stand() {
    for setting in SETTINGS {
        for name in setting.mistaken {
            assert_eq!(meant_by(name), Some(setting.name), "{name}");
        }
    }
}
