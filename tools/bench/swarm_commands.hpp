// The subcommands of notp-bench that load a registry with a swarm of agents.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "common/json/json.hpp"
#include "common/result.hpp"

namespace notp::bench {

struct SwarmArguments {
  std::string json_file, programs, opal;
  size_t fanout_sessions = 10'000, publishes = 10;
  size_t idle_sessions = 20'000;
  double seconds = 60, settle_s = 15;
  int64_t freshness_s = 30;
  size_t reconnect_sessions = 10'000;
  size_t slow = 1'000, honest = 100;
  double model_mb = 100;
  size_t registry_threads = 1, swarm_threads = 1;
};

// Adds "fanout", "idle", "reconnect" and "slow".
void add_swarm_commands(CLI::App& app, SwarmArguments& arguments);

// A suite's figures, for people and for programs.
struct SuiteReport {
  std::string table;
  json::object document;
};
// Runs the suite that was asked for, with the programs of this folder; nullopt: another one was.
std::optional<Result<SuiteReport>> run_swarm_command(
    const CLI::App& app, const SwarmArguments& arguments, const std::filesystem::path& programs,
    const std::function<void(const std::string&)>& progress);

}  // namespace notp::bench
