// The questions of the suite "decide" as HTTP messages, and what their answers must say.
#pragma once

#include <string>
#include <vector>

#include "tools/bench/http_load.hpp"
#include "tools/bench/rbac_model.hpp"

namespace notp::bench {

// POST with a JSON body.
Bytes post_message(const PdpAddress& address, std::string_view target, ByteView body);
// {"input": …} for each question, at /v1/data/<path>.
std::vector<Bytes> data_messages(const PdpAddress& address, std::string_view path,
                                 const std::vector<RbacQuestion>& questions);
// AuthZEN: `batch` questions in each message. What is left over is not asked.
std::vector<Bytes> batch_messages(const PdpAddress& address,
                                  const std::vector<RbacQuestion>& questions, size_t batch);

// The result is to be the boolean.
Verdict judge_allowed(const HttpAnswer& answer, bool allowed);
// The batch of that number is to have the answers to its questions, in their order.
Verdict judge_all(const HttpAnswer& answer, const std::vector<RbacQuestion>& questions,
                  size_t batch, size_t number);

// What kRbacStamped answers.
struct StampedAnswer {
  bool allowed = false;
  int64_t rule = 0, document = 0;  // number of the release, from either file
};
// nullopt when it does not say all of it.
std::optional<StampedAnswer> stamped_answer(const HttpAnswer& answer);

}  // namespace notp::bench
