//! Every setting, in the order in which they are shown. A new setting is one literal here.

use super::kind::Kind;
use super::setting::{Form, Section, Setting, Source, Takes};
use super::value::Literal;

/// Every setting. Names, flags, defaults and sections are Gunicorn 27's, apart from those that only this server has:
/// the section "Slow Clients" and `limit_request_body`.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "config",
        section: Section::ConfigFile,
        flags: &["-c", "--config"],
        takes: Takes::Text("CONFIG"),
        kind: Kind::Text,
        default: Literal::Text("./gunicorn.conf.py"),
        source: None,
        description: "The configuration file: `PATH`, `file:PATH`, or `python:MODULE` for a module that can be imported.

It is read only from the command line and from `GUNICORN_CMD_ARGS`; inside a configuration file it has no effect. Without
it `gunicorn.conf.py` in the directory of the start is read if it is there.",
    },
    Setting {
        name: "wsgi_app",
        section: Section::ConfigFile,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Text,
        default: Literal::None,
        source: None,
        description: "The application, as `MODULE:NAME` or `MODULE:FACTORY(ARGUMENTS)`.

Used when the command line names no application.",
    },
    Setting {
        name: "bind",
        section: Section::ServerSocket,
        flags: &["-b", "--bind"],
        takes: Takes::Several("ADDRESS"),
        kind: Kind::List,
        default: Literal::List(&["127.0.0.1:8000"]),
        source: Some(Source::Variable("PORT", Form::Port)),
        description: "Where to listen: `HOST`, `HOST:PORT`, `[V6]:PORT`, `:PORT` or `unix:PATH`.

May be given several times. With the environment variable `PORT` set, the default is that port at every IPv4 address.",
    },
    Setting {
        name: "backlog",
        section: Section::ServerSocket,
        flags: &["--backlog"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(2048),
        source: None,
        description: "How many connections may wait to be accepted, per listener.

The kernel may cut this to its own maximum (`net.core.somaxconn`).",
    },
    Setting {
        name: "workers",
        section: Section::WorkerProcesses,
        flags: &["-w", "--workers"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1),
        source: Some(Source::Variable("WEB_CONCURRENCY", Form::Whole)),
        description: "The number of worker processes.

The environment variable `WEB_CONCURRENCY` gives another default. With 0 the arbiter runs without workers until it is
told to add some (`SIGTTIN`).",
    },
    Setting {
        name: "worker_class",
        section: Section::WorkerProcesses,
        flags: &["-k", "--worker-class"],
        takes: Takes::Text("CLASS"),
        kind: Kind::Class,
        default: Literal::Text("sync"),
        source: None,
        description: "How a worker runs the application: a name, or `module.Class` of a worker class of one's own.

This version has `sync`: one request at a time in each worker, whatever the number of open connections.",
    },
    Setting {
        name: "threads",
        section: Section::WorkerProcesses,
        flags: &["--threads"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1),
        source: None,
        description: "Threads that run the application in each worker.

More than 1 asks for the worker class `gthread`.",
    },
    Setting {
        name: "worker_connections",
        section: Section::WorkerProcesses,
        flags: &["--worker-connections"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1000),
        source: None,
        description: "Open connections that one worker holds at most.

When it is reached, idle connections are closed first.",
    },
    Setting {
        name: "max_requests",
        section: Section::WorkerProcesses,
        flags: &["--max-requests"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        source: None,
        description: "Requests after which a worker is replaced; 0 means never.

It limits the damage of an application that leaks memory.",
    },
    Setting {
        name: "max_requests_jitter",
        section: Section::WorkerProcesses,
        flags: &["--max-requests-jitter"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        source: None,
        description: "Each worker adds a random number from 0 to this to `max_requests`.

So that workers that started together are not replaced together.",
    },
    Setting {
        name: "timeout",
        section: Section::WorkerProcesses,
        flags: &["-t", "--timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        source: None,
        description: "Seconds that a request may keep a worker busy before the worker is killed and replaced; 0 means no limit.",
    },
    Setting {
        name: "graceful_timeout",
        section: Section::WorkerProcesses,
        flags: &["--graceful-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        source: None,
        description: "Seconds that a worker told to leave may take to finish what it is doing.",
    },
    Setting {
        name: "keepalive",
        section: Section::WorkerProcesses,
        flags: &["--keep-alive"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(75),
        source: None,
        description: "Seconds that an idle connection is kept open for the next request; 0 closes after each response.

It should be longer than the idle time of the load balancer in front (often 60 seconds): a connection that the
balancer still uses while the server closes it becomes a 502.",
    },
    Setting {
        name: "limit_request_line",
        section: Section::Security,
        flags: &["--limit-request-line"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(4094),
        source: None,
        description: "Bytes that a request line may have, without its line end; 0 means no limit, anything above 8190 means 8190.",
    },
    Setting {
        name: "limit_request_fields",
        section: Section::Security,
        flags: &["--limit-request-fields"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(100),
        source: None,
        description: "Header fields that a request may have.

0, and anything above 32768, means 32768.",
    },
    Setting {
        name: "limit_request_field_size",
        section: Section::Security,
        flags: &["--limit-request-field_size"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(8190),
        source: None,
        description: "Bytes that one header field may have, from its name to its line end; 0 means 8190.",
    },
    Setting {
        name: "limit_request_body",
        section: Section::Security,
        flags: &["--limit-request-body"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        source: None,
        description: "Bytes that a request body may have; a larger one is answered 413. 0 means no limit.",
    },
    Setting {
        name: "header_timeout",
        section: Section::SlowClients,
        flags: &["--header-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(30),
        source: None,
        description: "Seconds within which a request head must be complete, or it is answered 408; 0 means no limit.

Counted from the head's first byte, or on a new connection from its acceptance.",
    },
    Setting {
        name: "body_timeout",
        section: Section::SlowClients,
        flags: &["--body-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(60),
        source: None,
        description: "Seconds that a client may stay silent while it sends a request body; 0 means no limit.",
    },
    Setting {
        name: "send_timeout",
        section: Section::SlowClients,
        flags: &["--send-timeout"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(60),
        source: None,
        description: "Seconds that a client may take nothing of a response that waits for it; 0 means no limit.",
    },
    Setting {
        name: "stream_request_body",
        section: Section::SlowClients,
        flags: &["--stream-request-body"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Call the application before the request body is there, and let `wsgi.input` read it from the socket.

A slow client then holds a worker for as long as the application reads.",
    },
    Setting {
        name: "request_body_memory",
        section: Section::SlowClients,
        flags: &["--request-body-memory"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1048576),
        source: None,
        description: "Bytes of a request body that are kept in memory; a larger body goes to a temporary file in `tmp_upload_dir`.",
    },
    Setting {
        name: "response_memory",
        section: Section::SlowClients,
        flags: &["--response-memory"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1048576),
        source: None,
        description: "Bytes of a response waiting for its client that are kept in memory.

What is beyond goes to a temporary file in `tmp_upload_dir`.",
    },
    Setting {
        name: "response_file_limit",
        section: Section::SlowClients,
        flags: &["--response-file-limit"],
        takes: Takes::Whole("INT"),
        kind: Kind::Count,
        default: Literal::Int(1073741824),
        source: None,
        description: "Bytes of a response waiting for its client beyond which the application has to wait.",
    },
    Setting {
        name: "check_config",
        section: Section::Debugging,
        flags: &["--check-config"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Check the configuration, import the application, and exit: with status 0 if both are good, else 1.",
    },
    Setting {
        name: "print_config",
        section: Section::Debugging,
        flags: &["--print-config"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Print every setting with its value, then do as `--check-config`.",
    },
    Setting {
        name: "preload_app",
        section: Section::ServerMechanics,
        flags: &["--preload"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Import the application before the workers are forked.

It saves memory and start-up time; new code then needs a restart, a reload does not import it again.",
    },
    Setting {
        name: "sendfile",
        section: Section::ServerMechanics,
        flags: &["--no-sendfile"],
        takes: Takes::Nothing { stores: false },
        kind: Kind::OptionalBool,
        default: Literal::None,
        source: None,
        description: "Do not send files with the system call sendfile.

Unset, the environment variable `SENDFILE` decides (`1`, `y`, `yes` or `true` means yes), and without it files are sent
with sendfile.",
    },
    Setting {
        name: "chdir",
        section: Section::ServerMechanics,
        flags: &["--chdir"],
        takes: Takes::Text("DIRECTORY"),
        kind: Kind::Directory,
        default: Literal::Text("."),
        source: Some(Source::StartDirectory),
        description: "The directory to work in; it is also put in front of `sys.path`.",
    },
    Setting {
        name: "raw_env",
        section: Section::ServerMechanics,
        flags: &["-e", "--env"],
        takes: Takes::Several("NAME=VALUE"),
        kind: Kind::List,
        default: Literal::List(&[]),
        source: None,
        description: "Set an environment variable for the application, as `NAME=VALUE`.

May be given several times.",
    },
    Setting {
        name: "umask",
        section: Section::ServerMechanics,
        flags: &["-m", "--umask"],
        takes: Takes::Mode("INT"),
        kind: Kind::Count,
        default: Literal::Int(0),
        source: None,
        description: "The file mode bits that are taken away from Unix sockets.

On the command line `0022` is octal; in a configuration file write `0o022`.",
    },
    Setting {
        name: "tmp_upload_dir",
        section: Section::ServerMechanics,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Text,
        default: Literal::None,
        source: None,
        description: "The directory of temporary files for large request bodies and for responses that wait for slow clients.

Unset, it is the system's. The files have no name, so none are left behind.",
    },
    Setting {
        name: "secure_scheme_headers",
        section: Section::ServerMechanics,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Dict,
        default: Literal::Dict(&[("X-FORWARDED-PROTOCOL", "ssl"), ("X-FORWARDED-PROTO", "https"), ("X-FORWARDED-SSL", "on")]),
        source: None,
        description: "Headers, in upper case, and the value with which each says that the client used HTTPS.

They are believed only from `forwarded_allow_ips`.",
    },
    Setting {
        name: "forwarded_allow_ips",
        section: Section::ServerMechanics,
        flags: &["--forwarded-allow-ips"],
        takes: Takes::Text("LIST"),
        kind: Kind::Networks,
        default: Literal::Text("127.0.0.1,::1"),
        source: Some(Source::Variable("FORWARDED_ALLOW_IPS", Form::Text)),
        description: "Proxies whose forwarding headers are believed: addresses and networks separated by commas, or `*` for all.

The environment variable `FORWARDED_ALLOW_IPS` gives another default.",
    },
    Setting {
        name: "pythonpath",
        section: Section::ServerMechanics,
        flags: &["--pythonpath"],
        takes: Takes::Text("DIRECTORIES"),
        kind: Kind::Text,
        default: Literal::None,
        source: None,
        description: "Directories, separated by commas, to put in front of `sys.path`.",
    },
    Setting {
        name: "permit_obsolete_folding",
        section: Section::ServerMechanics,
        flags: &["--permit-obsolete-folding"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Accept header fields that go on over several lines.

RFC 9112 section 5.2 declares such folding obsolete; it is refused unless this is on.",
    },
    Setting {
        name: "strip_header_spaces",
        section: Section::ServerMechanics,
        flags: &["--strip-header-spaces"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Accept whitespace between a header's name and its colon, and remove it.

RFC 9112 section 5.1 tells servers to refuse it, because proxies disagree about such headers.",
    },
    Setting {
        name: "permit_unconventional_http_method",
        section: Section::ServerMechanics,
        flags: &["--permit-unconventional-http-method"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Accept methods with characters and lengths that no registered method has.",
    },
    Setting {
        name: "permit_unconventional_http_version",
        section: Section::ServerMechanics,
        flags: &["--permit-unconventional-http-version"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Accept HTTP versions other than 1.0 and 1.1.",
    },
    Setting {
        name: "casefold_http_method",
        section: Section::ServerMechanics,
        flags: &["--casefold-http-method"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Turn methods into upper case before the application sees them.",
    },
    Setting {
        name: "forwarder_headers",
        section: Section::ServerMechanics,
        flags: &["--forwarder-headers"],
        takes: Takes::Text("LIST"),
        kind: Kind::Csv,
        default: Literal::Text("SCRIPT_NAME,PATH_INFO"),
        source: None,
        description: "Headers with an underscore that a proxy in `forwarded_allow_ips` may send whatever `header_map` says.

Names in upper case, separated by commas; `*` is every name.",
    },
    Setting {
        name: "header_map",
        section: Section::ServerMechanics,
        flags: &["--header-map"],
        takes: Takes::Text("WORD"),
        kind: Kind::Choice { words: &["drop", "refuse", "dangerous"], refusal: "Invalid header map behaviour" },
        default: Literal::Text("drop"),
        source: None,
        description: "What to do with a header whose name has an underscore: `drop` it, `refuse` the request, or `dangerous`ly pass it on.

In the environ such a header looks like one with a hyphen, so a client could pose as a proxy.",
    },
    Setting {
        name: "accesslog",
        section: Section::Logging,
        flags: &["--access-logfile"],
        takes: Takes::Text("FILE"),
        kind: Kind::Text,
        default: Literal::None,
        source: None,
        description: "The file of the access log; `-` is standard output. Unset, there is none.",
    },
    Setting {
        name: "access_log_format",
        section: Section::Logging,
        flags: &["--access-logformat"],
        takes: Takes::Text("FORMAT"),
        kind: Kind::Text,
        default: Literal::Text(r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#),
        source: None,
        description: "The form of a line in the access log.

| atom | is |
| --- | --- |
| `%(h)s` | the client's address |
| `%(l)s` | always `-` |
| `%(u)s` | the user name of HTTP Basic authentication |
| `%(t)s` | the date and time |
| `%(r)s` | the request line |
| `%(m)s` `%(U)s` `%(q)s` `%(H)s` | its method, path, query and protocol |
| `%(s)s` | the status |
| `%(b)s` `%(B)s` | the bytes of the body that were sent, as text (`-` if unknown) and as a number |
| `%(f)s` `%(a)s` | the headers `Referer` and `User-Agent` |
| `%(T)s` `%(M)s` `%(D)s` `%(L)s` | the time it took in seconds, milliseconds, microseconds and as seconds with a fraction |
| `%(p)s` | the process id of the worker |
| `%({name}i)s` `%({name}o)s` `%({name}e)s` | a request header, a response header, an entry of the environ |",
    },
    Setting {
        name: "errorlog",
        section: Section::Logging,
        flags: &["--error-logfile", "--log-file"],
        takes: Takes::Text("FILE"),
        kind: Kind::Text,
        default: Literal::Text("-"),
        source: None,
        description: "The file of the error log; `-` is standard error.",
    },
    Setting {
        name: "loglevel",
        section: Section::Logging,
        flags: &["--log-level"],
        takes: Takes::Text("LEVEL"),
        kind: Kind::Text,
        default: Literal::Text("info"),
        source: None,
        description: "The least severe level that the error log shows: `debug`, `info`, `warning`, `error` or `critical`.",
    },
    Setting {
        name: "capture_output",
        section: Section::Logging,
        flags: &["--capture-output"],
        takes: Takes::Nothing { stores: true },
        kind: Kind::Bool,
        default: Literal::Bool(false),
        source: None,
        description: "Send standard output and standard error to the error log's file.",
    },
    Setting {
        name: "proc_name",
        section: Section::ProcessNaming,
        flags: &["-n", "--name"],
        takes: Takes::Text("NAME"),
        kind: Kind::Text,
        default: Literal::None,
        source: None,
        description: "The name of the service in the titles of its processes. Unset, it is `default_proc_name`.",
    },
    Setting {
        name: "default_proc_name",
        section: Section::ProcessNaming,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Text,
        default: Literal::Text("gunicorn"),
        source: None,
        description: "The name when `proc_name` is unset: set by the server to the application that the command line names.",
    },
    Setting {
        name: "on_starting",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter before it listens.",
    },
    Setting {
        name: "on_reload",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter when it has read its configuration again (`SIGHUP`).",
    },
    Setting {
        name: "when_ready",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter when it listens and is about to start workers.",
    },
    Setting {
        name: "pre_fork",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter and the new worker, in the arbiter, before the fork.",
    },
    Setting {
        name: "post_fork",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter and the new worker, in the worker, after the fork.",
    },
    Setting {
        name: "post_worker_init",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the worker when it has loaded the application.",
    },
    Setting {
        name: "worker_int",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the worker when it is told to leave at once (`SIGINT` or `SIGQUIT`).",
    },
    Setting {
        name: "worker_abort",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the worker when it has exceeded `timeout` (`SIGABRT`).",
    },
    Setting {
        name: "pre_exec",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter before the new server is executed (`SIGUSR2`).",
    },
    Setting {
        name: "pre_request",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the worker and the request, before the application.",
    },
    Setting {
        name: "post_request",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[4, 3, 2]),
        default: Literal::None,
        source: None,
        description: "Called with the worker, the request, the environ and the response, when the response is done.

A callable with three or two positional parameters gets only the first ones.",
    },
    Setting {
        name: "child_exit",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter and the worker, in the arbiter, when the worker is gone.",
    },
    Setting {
        name: "worker_exit",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter and the worker, in the worker, when it is about to exit.",
    },
    Setting {
        name: "nworkers_changed",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[3]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter, the new and the former number of workers (at first `None`).",
    },
    Setting {
        name: "on_exit",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[1]),
        default: Literal::None,
        source: None,
        description: "Called with the arbiter before it exits.",
    },
    Setting {
        name: "ssl_context",
        section: Section::ServerHooks,
        flags: &[],
        takes: Takes::Nowhere,
        kind: Kind::Hook(&[2]),
        default: Literal::None,
        source: None,
        description: "Called with the configuration and a function that makes the default `SSLContext`; gives the one to use.",
    },
];
