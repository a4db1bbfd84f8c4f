// The one way from a question to a decision, whichever route it came by.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <atomic>

#include "common/limits.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp {

// Thread-safe. The PDP outlives it.
class DecisionService {
 public:
  DecisionService(Pdp& pdp, prometheus::Registry& metrics);

  // What one input may have from now on: bytes.
  void limit_inputs(size_t bytes) { input_bytes_max_ = bytes; }

  // One decision for each input, all by one ActiveSet. Errors of Pdp::evaluate(); kLimit for an
  // input that is too large.
  boost::asio::awaitable<Result<std::vector<Result<Decision>>>> decide_all(Question question);
  // For a single input.
  boost::asio::awaitable<Result<Decision>> decide(std::vector<std::string> path,
                                                  std::optional<Bytes> input);

 private:
  Pdp& pdp_;
  std::atomic<size_t> input_bytes_max_ = limits::kInputBytesMax;
  prometheus::Counter* defined_;
  prometheus::Counter* undefined_;
  prometheus::Counter* failed_;
};

}  // namespace notp
