// notp-bench: measures the product beside its controls, in the same run on the same machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "common/files.hpp"
#include "tools/bench/codec_suite.hpp"
#include "tools/bench/corpus.hpp"
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

struct WireArguments {
  std::string corpus, json_file, programs;
  WireLabels labels;
  bool no_pull = false;
};

void add_wire(CLI::App& app, WireArguments& arguments) {
  CLI::App* wire = app.add_subcommand(
      "wire", "Replay a Git history as releases: bytes on the wire beside git and a bundle");
  wire->add_option("--corpus", arguments.corpus, "Git repository whose tags are the releases")
      ->type_name("DIR")
      ->required();
  wire->add_option("--json", arguments.json_file, "Also write the figures here")->type_name("FILE");
  wire->add_option("--programs", arguments.programs,
                   "Folder of notp, notp-server and notp-client (default: this program's)")
      ->type_name("DIR");
  wire->add_option("--seed", arguments.labels.seed, "Of the corpus, for the report");
  wire->add_option("--scale", arguments.labels.scale, "Of the corpus, for the report");
  wire->add_flag("--no-pull", arguments.no_pull, "Leave out the fresh session for each release");
}

int run_wire_suite(const WireArguments& arguments) {
  WireOptions options;
  options.repository = std::filesystem::absolute(arguments.corpus);
  options.programs = arguments.programs.empty()
                         ? std::filesystem::read_symlink("/proc/self/exe").parent_path()
                         : std::filesystem::absolute(arguments.programs);
  options.with_pull = !arguments.no_pull;
  options.measured = [](const WireChange& change) {
    fmt::print(stderr, "{}: {} bytes pushed, git {}\n", change.tag, change.push.bytes(),
               change.best_git_bytes());
  };
  const auto result = run_wire(options);
  if (!result) return failed(result.error());
  fmt::print("{}", wire_table(*result));
  return write_json(arguments.json_file, wire_json(*result, arguments.labels));
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
  CorpusArguments corpus;
  WireArguments wire;
  CodecArguments codec;
  add_codec(app, codec);
  add_corpus(app, corpus);
  add_wire(app, wire);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_code::kOk : exit_code::kUsage;
  }
  if (app.got_subcommand("codec")) return run_codec_suite(codec);
  return app.got_subcommand("corpus") ? run_corpus(corpus) : run_wire_suite(wire);
}
