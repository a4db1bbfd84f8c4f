// notp-bench: measures the product and its controls in the same run on the same machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "common/large_blocks.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/audit_suite.hpp"
#include "tools/bench/codec_suite.hpp"
#include "tools/bench/cold_suite.hpp"
#include "tools/bench/corpus.hpp"
#include "tools/bench/decide_suite.hpp"
#include "tools/bench/footprint_suite.hpp"
#include "tools/bench/lane_suite.hpp"
#include "tools/bench/latency_suite.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/spool_suite.hpp"
#include "tools/bench/swarm_commands.hpp"
#include "tools/bench/txn_suite.hpp"
#include "tools/bench/wire_report.hpp"

namespace {

using namespace notp;
using namespace notp::bench;

int failed(const Error& error) {
  fmt::print(stderr, "notp-bench: {}\n", error.message);
  return error_traits(error.code).exit;
}

int write_json(const std::string& file, const json::object& document) {
  if (file.empty()) return exit_code::kOk;
  if (auto written = write_file(file, pretty_json(document) + "\n"); !written)
    return failed(written.error());
  return exit_code::kOk;
}

struct CorpusArguments {
  std::string folder;
  CorpusOptions options;
};

void add_corpus(CLI::App& app, CorpusArguments& arguments) {
  CLI::App* corpus = app.add_subcommand(
      "corpus", "Write the reference workload: a Git history with a tag for each release");
  corpus->add_option("folder", arguments.folder, "A new folder")->type_name("DIR")->required();
  corpus->add_option("--seed", arguments.options.seed, "What is drawn")->capture_default_str();
  corpus->add_option("--scale", arguments.options.scale, "1: 2,000 policies, 139 MB of documents")
      ->check(CLI::Range(0.001, 2.0))
      ->capture_default_str();
}

int run_corpus(const CorpusArguments& arguments) {
  if (auto written = write_corpus(arguments.folder, arguments.options); !written)
    return failed(written.error());
  return exit_code::kOk;
}

// Arguments of the suites that run the programs.
struct SuiteArguments {
  std::string corpus, json_file, programs;
  CorpusLabels labels;

  std::filesystem::path programs_folder() const {
    return programs.empty() ? std::filesystem::read_symlink("/proc/self/exe").parent_path()
                            : std::filesystem::absolute(programs);
  }
};

void add_suite_options(CLI::App& suite, SuiteArguments& arguments) {
  suite.add_option("--json", arguments.json_file, "Also write the figures here")->type_name("FILE");
  suite
      .add_option("--programs", arguments.programs,
                  "Folder of notp, notp-server and notp-client (default: this program's)")
      ->type_name("DIR");
}

// For suites that replay a history unchanged.
void add_history_options(CLI::App& suite, SuiteArguments& arguments) {
  add_suite_options(suite, arguments);
  suite.add_option("--corpus", arguments.corpus, "Git repository whose tags are the releases")
      ->type_name("DIR")
      ->required();
  suite.add_option("--seed", arguments.labels.seed, "Of the corpus, for the report");
  suite.add_option("--scale", arguments.labels.scale, "Of the corpus, for the report");
}

// For suites that generate a large document.
void add_model_options(CLI::App& suite, SuiteArguments& arguments) {
  add_suite_options(suite, arguments);
  arguments.labels = {1, 1.0};
  suite
      .add_option("--corpus", arguments.corpus,
                  "Git repository: the model has the files of its first tag, too")
      ->type_name("DIR");
  suite.add_option("--seed", arguments.labels.seed, "What is drawn (default: 1)");
  suite.add_option("--scale", arguments.labels.scale, "1, the default: a document of 20 MB")
      ->check(CLI::Range(0.0001, 5.0));
}

ProbeModelOptions probe_model_options(const SuiteArguments& arguments) {
  ProbeModelOptions options;
  options.seed = *arguments.labels.seed;
  options.document_bytes *= *arguments.labels.scale;
  if (!arguments.corpus.empty()) options.corpus = std::filesystem::absolute(arguments.corpus);
  return options;
}

void say(const std::string& line) { fmt::print(stderr, "{}\n", line); }

struct WireArguments : SuiteArguments {
  bool no_pull = false;
};

void add_wire(CLI::App& app, WireArguments& arguments) {
  CLI::App* wire = app.add_subcommand(
      "wire", "Replay a Git history as releases: bytes on the wire beside git and a bundle");
  add_history_options(*wire, arguments);
  wire->add_flag("--no-pull", arguments.no_pull, "Leave out the fresh session for each release");
}

int run_wire_suite(const WireArguments& arguments) {
  WireOptions options;
  options.repository = std::filesystem::absolute(arguments.corpus);
  options.programs = arguments.programs_folder();
  options.with_pull = !arguments.no_pull;
  options.measured = [](const WireChange& change) {
    say(fmt::format("{}: {} bytes pushed, git {}", change.tag, change.push.bytes(),
                    change.best_git_bytes()));
  };
  const auto result = run_wire(options);
  if (!result) return failed(result.error());
  fmt::print("{}", wire_table(*result));
  return write_json(arguments.json_file, wire_json(*result, arguments.labels));
}

struct LatencyArguments : SuiteArguments {
  size_t updates = 100, control_updates = 20;
};

void add_latency(CLI::App& app, LatencyArguments& arguments) {
  CLI::App* latency = app.add_subcommand(
      "latency", "From publish to active at the embedded PDP, beside OPA at a bundle server");
  add_model_options(*latency, arguments);
  latency->add_option("--updates", arguments.updates, "Releases of each kind that are measured")
      ->check(CLI::Range(size_t{1}, kLatencyUpdatesMax))
      ->capture_default_str();
  latency->add_option("--control-updates", arguments.control_updates, "Bundles of each kind")
      ->check(CLI::Range(size_t{1}, kLatencyUpdatesMax))
      ->capture_default_str();
}

int run_latency_suite(const LatencyArguments& arguments) {
  LatencyOptions options;
  const auto opa = opa_program();
  if (!opa) return failed(opa.error());
  options.opa = *opa;
  options.programs = arguments.programs_folder();
  options.model = probe_model_options(arguments);
  options.updates = arguments.updates;
  options.control_updates = arguments.control_updates;
  options.progress = say;
  const auto result = run_latency(options);
  if (!result) return failed(result.error());
  fmt::print("{}", latency_table(*result));
  return write_json(arguments.json_file, latency_json(*result, arguments.labels));
}

struct ColdArguments : SuiteArguments {
  size_t runs = 5;
};

void add_cold(CLI::App& app, ColdArguments& arguments) {
  CLI::App* cold = app.add_subcommand(
      "cold", "A node that has nothing loads a whole model, beside git clone --bare");
  add_history_options(*cold, arguments);
  cold->add_option("--runs", arguments.runs, "Of each arm, in turn")
      ->check(CLI::Range(size_t{1}, kColdRunsMax))
      ->capture_default_str();
}

int run_cold_suite(const ColdArguments& arguments) {
  ColdOptions options;
  options.repository = std::filesystem::absolute(arguments.corpus);
  options.programs = arguments.programs_folder();
  options.runs = arguments.runs;
  options.progress = say;
  const auto result = run_cold(options);
  if (!result) return failed(result.error());
  fmt::print("{}", cold_table(*result));
  return write_json(arguments.json_file, cold_json(*result, arguments.labels));
}

struct FootprintArguments : SuiteArguments {
  double window_s = 20;
};

void add_footprint(CLI::App& app, FootprintArguments& arguments) {
  CLI::App* footprint = app.add_subcommand(
      "footprint", "Memory and wake-ups of an agent: idle, and while a document changes");
  add_model_options(*footprint, arguments);
  footprint
      ->add_option("--window-s", arguments.window_s,
                   "How long wake-ups are counted; heartbeats are 30 s apart")
      ->check(CLI::Range(0.1, static_cast<double>(kFootprintWindowMsMax) / 1e3))
      ->capture_default_str();
}

int run_footprint_suite(const FootprintArguments& arguments) {
  FootprintOptions options;
  const auto opa = opa_program();
  if (!opa) return failed(opa.error());
  options.opa = *opa;
  options.programs = arguments.programs_folder();
  options.model = probe_model_options(arguments);
  options.window_ms = static_cast<TimeMs>(arguments.window_s * 1e3);
  options.progress = say;
  const auto result = run_footprint(options);
  if (!result) return failed(result.error());
  fmt::print("{}", footprint_table(*result));
  return write_json(arguments.json_file, footprint_json(*result, arguments.labels));
}

struct DecideArguments : SuiteArguments {
  double seconds = 10;
  size_t rounds = 5;
  std::string part = "all";
};

void add_decide(CLI::App& app, DecideArguments& arguments) {
  CLI::App* decide = app.add_subcommand("decide", "Decisions over HTTP at the agent, beside OPA");
  add_suite_options(*decide, arguments);
  arguments.labels.seed = 1;
  decide->add_option("--seed", arguments.labels.seed, "What is drawn (default: 1)");
  decide->add_option("--seconds", arguments.seconds, "For each row and PDP")
      ->check(CLI::Range(0.1, kDecideSecondsMax))
      ->capture_default_str();
  decide->add_option("--rounds", arguments.rounds, "In which the PDPs take turns")
      ->check(CLI::Range(size_t{1}, kDecideRoundsMax))
      ->capture_default_str();
  decide->add_option("--part", arguments.part, "central: the rows with 200 PEPs alone")
      ->check(CLI::IsMember({"all", "central"}))
      ->capture_default_str();
}

int run_decide_suite(const DecideArguments& arguments) {
  DecideOptions options;
  const auto opa = opa_program();
  if (!opa) return failed(opa.error());
  options.opa = *opa;
  options.programs = arguments.programs_folder();
  options.seed = *arguments.labels.seed;
  options.seconds = arguments.seconds;
  options.rounds = arguments.rounds;
  options.central_only = arguments.part == "central";
  options.progress = say;
  const auto result = run_decide(options);
  if (!result) return failed(result.error());
  fmt::print("{}", decide_table(*result));
  return write_json(arguments.json_file, decide_json(*result, arguments.labels));
}

// Arguments of the suites about records of decisions, which run in this process alone.
struct RecordsArguments {
  std::string json_file, folder;
  uint64_t seed = 1, records = 1'000'000;
};

void add_records_options(CLI::App& suite, RecordsArguments& arguments) {
  suite.add_option("--json", arguments.json_file, "Also write the figures here")->type_name("FILE");
  suite.add_option("--seed", arguments.seed, "What is drawn")->capture_default_str();
  suite
      .add_option("--folder", arguments.folder,
                  "On the disk to be measured (default: the temporary folder)")
      ->type_name("DIR");
}

struct SpoolArguments : RecordsArguments {
  double strict_s = 3;
};

void add_spool(CLI::App& app, SpoolArguments& arguments) {
  CLI::App* spool = app.add_subcommand(
      "spool", "Records of decisions from the answer to the segment, beside the disk alone");
  add_records_options(*spool, arguments);
  spool->add_option("--records", arguments.records, "That are batched")
      ->check(CLI::Range(size_t{1}, kSpoolRecordsMax))
      ->capture_default_str();
  spool->add_option("--strict-s", arguments.strict_s, "For each number of PEPs, in seconds")
      ->check(CLI::Range(0.1, kSpoolSecondsMax))
      ->capture_default_str();
}

int run_spool_suite(const SpoolArguments& arguments) {
  // As the agent, which gives large blocks back (notp-client/app/main.cpp).
  return_large_blocks();
  log::configure(log::Level::kWarn, log::Format::kText);
  const auto result = run_spool({.seed = arguments.seed,
                                 .records = arguments.records,
                                 .answers = std::min(arguments.records, kSpoolAnswers),
                                 .strict_seconds = arguments.strict_s,
                                 .parent = arguments.folder,
                                 .progress = say});
  if (!result) return failed(result.error());
  fmt::print("{}", spool_table(*result));
  return write_json(arguments.json_file, spool_json(*result, {arguments.seed, {}}));
}

struct AuditArguments : RecordsArguments {
  std::string python = "python3";
};

void add_audit(CLI::App& app, AuditArguments& arguments) {
  CLI::App* audit = app.add_subcommand(
      "audit", "The registry's audit store: intake and questions, beside DuckDB over Parquet");
  add_records_options(*audit, arguments);
  audit->add_option("--records", arguments.records, "Of all nodes; 10000000 for all targets")
      ->check(CLI::Range(kAuditRecordsMin, kAuditRecordsMax))
      ->capture_default_str();
  audit
      ->add_option("--duckdb", arguments.python,
                   "A Python with the module duckdb; without it there is no control of questions")
      ->type_name("PYTHON")
      ->capture_default_str();
}

int run_audit_suite(const AuditArguments& arguments) {
  log::configure(log::Level::kWarn, log::Format::kText);
  const auto result = run_audit({.seed = arguments.seed,
                                 .records = arguments.records,
                                 .python = arguments.python,
                                 .parent = arguments.folder,
                                 .progress = say});
  if (!result) return failed(result.error());
  fmt::print("{}", audit_table(*result));
  return write_json(arguments.json_file, audit_json(*result, {arguments.seed, {}}));
}

struct LaneArguments : SuiteArguments {
  std::string part = "all";
  std::vector<size_t> sessions = {2'000, 10'000};
  size_t tokens = 1'000'000;
  double seconds = 10;
};

void add_lane(CLI::App& app, LaneArguments& arguments) {
  CLI::App* lane = app.add_subcommand(
      "lane", "A token lane: to thousands of sessions, and a node with a million tokens");
  add_suite_options(*lane, arguments);
  lane->add_option("--part", arguments.part, "Only one of them")
      ->check(CLI::IsMember({"all", "fan-out", "tokens"}))
      ->capture_default_str();
  lane->add_option("--sessions", arguments.sessions, "Numbers of sessions, one run each")
      ->delimiter(',')
      ->check(CLI::Range(size_t{1}, kLaneSessionsMax))
      ->capture_default_str();
  lane->add_option("--tokens", arguments.tokens, "That the node holds")
      ->check(CLI::Range(size_t{1}, kLaneTokensMax))
      ->capture_default_str();
  lane->add_option("--seconds", arguments.seconds, "For each load")
      ->check(CLI::Range(0.1, kLaneSecondsMax))
      ->capture_default_str();
}

int run_lane_suite(const LaneArguments& arguments) {
  LaneOptions options;
  options.programs = arguments.programs_folder();
  if (arguments.part == "fan-out") options.part = LanePart::kFanOut;
  if (arguments.part == "tokens") options.part = LanePart::kTokens;
  options.sessions = arguments.sessions;
  options.tokens = arguments.tokens;
  options.seconds = arguments.seconds;
  options.progress = say;
  const auto result = run_lane(options);
  if (!result) return failed(result.error());
  fmt::print("{}", lane_table(*result));
  return write_json(arguments.json_file, lane_json(*result, arguments.labels));
}

std::filesystem::path programs_folder(const SwarmArguments& arguments) {
  SuiteArguments of_suite;
  of_suite.programs = arguments.programs;
  return of_suite.programs_folder();
}

struct TxnArguments : SuiteArguments {
  std::string keycloak;
  std::vector<size_t> connections = {8, 32};
  double seconds = 10;
};

void add_txn(CLI::App& app, TxnArguments& arguments) {
  CLI::App* txn = app.add_subcommand(
      "txn", "Transaction tokens a second and core, beside signatures alone and Keycloak");
  add_suite_options(*txn, arguments);
  txn->add_option("--connections", arguments.connections, "Open at once, one run each")
      ->delimiter(',')
      ->check(CLI::Range(size_t{1}, kTxnConnectionsMax))
      ->capture_default_str();
  txn->add_option("--seconds", arguments.seconds, "For each row")
      ->check(CLI::Range(0.1, kTxnSecondsMax))
      ->capture_default_str();
  txn->add_option("--keycloak", arguments.keycloak,
                  "What tools/build-openid --keycloak prints; without it this control is left out")
      ->type_name("DIR");
}

int run_txn_suite(const TxnArguments& arguments) {
  TxnOptions options;
  options.programs = arguments.programs_folder();
  if (!arguments.keycloak.empty()) options.keycloak = std::filesystem::absolute(arguments.keycloak);
  options.connections = arguments.connections;
  options.seconds = arguments.seconds;
  options.progress = say;
  const auto result = run_txn(options);
  if (!result) return failed(result.error());
  fmt::print("{}", txn_table(*result));
  return write_json(arguments.json_file, txn_json(*result, arguments.labels));
}

struct CodecArguments {
  std::string corpus, json_file;
};

void add_codec(CLI::App& app, CodecArguments& arguments) {
  CLI::App* codec = app.add_subcommand(
      "codec", "Encode and apply the releases of a Git history in this process alone");
  codec->add_option("--corpus", arguments.corpus, "Git repository whose tags are the releases")
      ->type_name("DIR")
      ->required();
  codec->add_option("--json", arguments.json_file, "Also write the figures here")
      ->type_name("FILE");
}

int run_codec_suite(const CodecArguments& arguments) {
  json::array changes;
  fmt::print("{}", codec_table_head());
  const auto measured =
      run_codec(std::filesystem::absolute(arguments.corpus), [&](const CodecChange& change) {
        fmt::print("{}", codec_table_row(change));
        std::fflush(stdout);
        changes.push_back(codec_json(change));
      });
  if (!measured) return failed(measured.error());
  return write_json(arguments.json_file,
                    json::object{{"suite", "codec"}, {"changes", std::move(changes)}});
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Measures NOTP. A figure is a ratio against a control in the same run.");
  app.require_subcommand(1);
  app.set_version_flag("--version", "notp-bench " NOTP_VERSION);
  AuditArguments audit;
  CorpusArguments corpus;
  SpoolArguments spool;
  TxnArguments txn;
  WireArguments wire;
  CodecArguments codec;
  LatencyArguments latency;
  ColdArguments cold;
  DecideArguments decide;
  FootprintArguments footprint;
  LaneArguments lane;
  SwarmArguments swarm;
  add_audit(app, audit);
  add_codec(app, codec);
  add_cold(app, cold);
  add_corpus(app, corpus);
  add_decide(app, decide);
  add_footprint(app, footprint);
  add_lane(app, lane);
  add_latency(app, latency);
  add_spool(app, spool);
  add_swarm_commands(app, swarm);
  add_txn(app, txn);
  add_wire(app, wire);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code::kOk : exit_code::kUsage;
  }
  if (const auto report = run_swarm_command(app, swarm, programs_folder(swarm), say)) {
    if (!*report) return failed(report->error());
    fmt::print("{}", (*report)->table);
    return write_json(swarm.json_file, (*report)->document);
  }
  if (app.got_subcommand("audit")) return run_audit_suite(audit);
  if (app.got_subcommand("codec")) return run_codec_suite(codec);
  if (app.got_subcommand("cold")) return run_cold_suite(cold);
  if (app.got_subcommand("decide")) return run_decide_suite(decide);
  if (app.got_subcommand("footprint")) return run_footprint_suite(footprint);
  if (app.got_subcommand("lane")) return run_lane_suite(lane);
  if (app.got_subcommand("latency")) return run_latency_suite(latency);
  if (app.got_subcommand("spool")) return run_spool_suite(spool);
  if (app.got_subcommand("txn")) return run_txn_suite(txn);
  return app.got_subcommand("corpus") ? run_corpus(corpus) : run_wire_suite(wire);
}
