// The load generator of the suite "decide": one thread and one epoll set, to take little of the
// cores that the PDPs use, and the same from each.
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
  kWrong,    // a decision, but not the expected one
  kRefused,  // no decision, with an error that says so
};

struct LoadPlan {
  PdpAddress address;
  size_t connections = 1;
  std::vector<LoadTls> identities;  // used in turn instead of address.tls
  std::vector<Bytes> requests;      // whole HTTP messages, asked in turn
  // Judges the answer to requests[index].
  std::function<Verdict(size_t index, const HttpAnswer& answer)> judge;
  // Questions a second, evenly spaced, whether or not the last one is answered: latency counts from
  // the moment a question was due. 0: each connection asks again as soon as it has its answer.
  double rate = 0;
  double seconds = 1;
  std::stop_token stop;  // ends a closed loop early
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

// Asks until the time is over, then waits for open answers. kUnavailable when the PDP does not
// listen, kTimeout when it does not answer.
Result<LoadFigures> run_load(const LoadPlan& plan);

// Endless questions on separate connections, each from a blocking thread: they cost almost nothing
// but the PDP's time.
class EndlessQuestions {
 public:
  // `cut_ms`: closes a connection after this time without an answer. Each connection asks at most
  // once in `kPaceMs`, so that a refusal does not cause a flood.
  EndlessQuestions(PdpAddress address, Bytes request, size_t connections, TimeMs cut_ms);

  struct Counts {
    uint64_t asked = 0, cut = 0, lost = 0;  // lost: the PDP ended the connection
    std::map<unsigned, uint64_t> answers;   // by status
    void add(const Counts& other);
  };
  // Ends all threads. `cut_now` does not wait for open answers.
  Counts stop(bool cut_now);

 private:
  void ask_on_and_on(std::stop_token stop, Counts& counts) const;

  const PdpAddress address_;
  const Bytes request_;
  const TimeMs cut_ms_;
  std::atomic<bool> cut_now_ = false;
  std::vector<Counts> counts_;         // one for each thread
  std::vector<std::jthread> threads_;  // last: they use the rest
};

}  // namespace notp::bench
