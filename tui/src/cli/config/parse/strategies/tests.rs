use std::path::Path;

use super::super::parse;
use crate::cli::config::fault::Fault;
use crate::cli::config::schema::Config;
use tritone_strategy::KeyPlace;

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, faults) = parse(Path::new("config.toml"), text.as_bytes());
    (config, faults.iter().map(Fault::sentence).collect())
}

#[test]
fn everything_that_can_be_said_of_strategies() {
    let (config, faults) = read(
        "[strategies]\norder = [\"native\", \"studio\"]\n\
         [strategies.remote.studio]\nurl = \"http://127.0.0.1:1234/v1\"\nkey_env = \"STUDIO\"\n\
         model = \"m\"\ntimeout_s = 30\n\
         [strategies.remote.other]\nurl = \"https://192.0.2.1\"\nkey_file = \"/k\"\n\
         [strategies.bitnet-cpp]\nprogram = \"/b/llama-server\"\ncommand = [\"a\", \"{model}\"]\n\
         embeddings = true\nstart_limit_s = 9\nsilence_limit_s = 8\n\
         [strategies.bitnet-cpp.environment]\nA = \"b\"\n\
         [strategies.transformers]\nurl = \"http://127.0.0.1:1\"\nkey_variable = \"T\"\n",
    );
    assert_eq!(faults, [""; 0]);
    let strategies = config.strategies();
    let order = strategies.order.as_deref().unwrap();
    assert_eq!(order, ["native", "studio"]);
    let [studio, other] = strategies.servers.as_slice() else {
        panic!("two")
    };
    assert_eq!(studio.key, KeyPlace::Variable("STUDIO".to_owned()));
    assert_eq!((&*studio.model, studio.timeout_s), ("m", Some(30)));
    assert_eq!(other.key, KeyPlace::File("/k".into()));
    let bitnet = &strategies.bitnet_cpp;
    assert_eq!(bitnet.command, ["a", "{model}"]);
    assert_eq!(
        (bitnet.start_limit_s, bitnet.silence_limit_s),
        (Some(9), Some(8))
    );
    assert_eq!(bitnet.environment["A"], "b");
    assert_eq!(strategies.transformers.key_variable.as_deref(), Some("T"));
}

#[test]
fn what_is_wrong_with_strategies_is_said() {
    let (config, faults) = read(
        "[strategies]\norder = [\"nativ\"]\nremoet = 1\n\
         [strategies.remote.native]\nurl = \"http://a:1\"\n\
         [strategies.remote.a]\nurl = \"ftp://a\"\n\
         [strategies.remote.b]\nmodel = \"m\"\n\
         [strategies.remote.c]\nurl = \"http://a:1\"\ntimeout_s = 0\nmodl = 1\n\
         [strategies.bitnet-cpp]\ncommand = []\nembeddings = 1\nport = 1\n",
    );
    insta::assert_snapshot!(faults.join("\n"));
    assert!(config.strategies().servers.is_empty());
}

#[test]
fn a_key_in_the_file_is_refused_and_not_shown() {
    let text = "[strategies.remote.a]\nkey = \"sk-secret\"\nurl = \"http://u:sk-secret@h:1\"\n";
    let (_, faults) = parse(Path::new("config.toml"), text.as_bytes());
    assert_eq!(faults.len(), 2);
    let style = crate::cli::profile::ReportStyle {
        columns: 80,
        color: false,
        ascii: true,
    };
    for fault in &faults {
        let drawn = crate::cli::profile::draw(fault, style).unwrap();
        let all = format!("{}{drawn}", fault.sentence());
        assert!(!all.contains("sk-secret"), "{all}");
    }
    assert!(faults[0].sentence().contains("key_env"));
}
