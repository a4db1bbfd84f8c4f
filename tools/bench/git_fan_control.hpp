// A control of a push to many nodes: `git daemon` on one machine, and clients that each have a
// clone. When the commit is at the server, all clients fetch at once: they are told, and none polls
// in vain.
#pragma once

#include <filesystem>

#include "common/result.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

struct GitFanOptions {
  std::filesystem::path folder;  // new
  size_t clients = 200, rounds = 3;
};

struct GitFanResult {
  size_t clients = 0, rounds = 0;
  std::string version;
  Samples fetched;       // ms from the push's start until a client has the commit in its clone
  Samples all;           // until the last one has it, one for each round
  double daemon_us = 0;  // processor time of the daemon with its programs, for one fetch
  double client_us = 0;  // of one `git fetch`
};

// kIo, kInternal with Git's error, kTimeout.
Result<GitFanResult> measure_git_fan(const GitFanOptions& options);

json::object git_fan_json(const GitFanResult& result);
std::string git_fan_text(const GitFanResult& result);  // one line

}  // namespace notp::bench
