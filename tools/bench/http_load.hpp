// The load generator of the suite "decide": one thread, one epoll set, so that it takes little from
// the cores that the PDPs decide on, and the same from each.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/load_stream.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

enum class Verdict : uint8_t {
  kRight,
  kWrong,    // a decision, but another one
  kRefused,  // no decision, and it says so
};

struct LoadPlan {
  PdpAddress address;
  size_t connections = 1;
  std::vector<LoadTls> identities;  // instead of address.tls, for the connections in turn
  std::vector<Bytes> requests;      // whole HTTP messages, asked in turn
  // Of the answer to requests[index].
  std::function<Verdict(size_t index, const HttpAnswer& answer)> judge;
  // Questions a second, evenly spaced, whether or not the last one is answered: latency counts from
  // the moment a question was due. 0: each connection asks when it has its answer.
  double rate = 0;
  double seconds = 1;
  std::stop_token stop;  // ends a closed loop before that
};

struct LoadFigures {
  Samples latency;
  uint64_t answers = 0;  // right ones
  uint64_t failed = 0;   // all others, and connections lost while a question was open
  uint64_t wrong = 0;    // of the failed ones
  std::string first_failure;
  double seconds = 0;          // until the last answer
  double generator_cpu_s = 0;  // of this thread
};

// Asks until the time is over, then waits for what is open. kUnavailable when the PDP does not
// listen, kTimeout when it does not answer.
Result<LoadFigures> run_load(const LoadPlan& plan);

// Endless questions on connections of their own, each from a thread that waits: nothing beside what
// they cost the PDP.
class EndlessQuestions {
 public:
  // `cut_ms`: after so long without an answer the connection is closed. Each connection asks once
  // in `kPaceMs` at most, so that a refusal does not become a flood.
  EndlessQuestions(PdpAddress address, Bytes request, size_t connections, TimeMs cut_ms);

  struct Counts {
    uint64_t asked = 0, cut = 0, lost = 0;  // lost: the PDP ended the connection
    std::map<unsigned, uint64_t> answers;   // by status
    void add(const Counts& other);
  };
  // Ends them. With `cut_now` without waiting for the answers of those that are open.
  Counts stop(bool cut_now);

 private:
  void ask_on_and_on(std::stop_token stop, Counts& counts) const;

  const PdpAddress address_;
  const Bytes request_;
  const TimeMs cut_ms_;
  std::atomic<bool> cut_now_ = false;
  std::vector<Counts> counts_;         // of each thread
  std::vector<std::jthread> threads_;  // last: they use the rest
};

}  // namespace notp::bench
