// The one way from a question to a decision, whichever route it came by.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "notp-client/pdp/pdp.hpp"

namespace notp {

// Thread-safe. The PDP outlives it.
class DecisionService {
 public:
  DecisionService(Pdp& pdp, prometheus::Registry& metrics);

  // One decision for each input, all by one ActiveSet. Errors of Pdp::evaluate().
  boost::asio::awaitable<Result<std::vector<Result<Decision>>>> decide_all(Question question);
  // For a single input.
  boost::asio::awaitable<Result<Decision>> decide(std::vector<std::string> path,
                                                  std::optional<Bytes> input);

 private:
  Pdp& pdp_;
  prometheus::Counter* defined_;
  prometheus::Counter* undefined_;
  prometheus::Counter* failed_;
};

}  // namespace notp
