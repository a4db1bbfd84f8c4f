// A control of a push to many nodes: OPAL, whose server tells its clients over WebSockets that data
// has changed; each client then fetches it over HTTP. The clients are OPAL's own library, many in
// one process, driven by opal_control.py; there is no OPA behind them.
#pragma once

#include <filesystem>

#include "common/result.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

struct OpalOptions {
  std::filesystem::path environment;  // as tools/bench/opal-environment prints it
  std::filesystem::path folder;       // new
  size_t clients = 200, rounds = 5;
  size_t bytes = 150;  // of an entry
};

struct OpalResult {
  size_t clients = 0, rounds = 0;
  std::string version;
  Samples fetched;       // ms from the publisher's request until a client has the entry
  Samples all;           // until the last one has it, one for each round
  double server_us = 0;  // processor time of OPAL's server for one client and round
  double client_us = 0;  // of the process of all clients
};

// kNotFound: no OPAL there; kInternal with what the script says; kTimeout.
Result<OpalResult> measure_opal(const OpalOptions& options);

json::object opal_json(const OpalResult& result);
std::string opal_text(const OpalResult& result);  // one line

}  // namespace notp::bench
