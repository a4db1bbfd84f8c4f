// The questions of the suite "decide" as HTTP messages, and checks of their answers.
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
// AuthZEN: `batch` questions in each message. The remainder is not asked.
std::vector<Bytes> batch_messages(const PdpAddress& address,
                                  const std::vector<RbacQuestion>& questions, size_t batch);

// The result must be the boolean.
Verdict judge_allowed(const HttpAnswer& answer, bool allowed);
// The answers of the batch with this number must match its questions, in order.
Verdict judge_all(const HttpAnswer& answer, const std::vector<RbacQuestion>& questions,
                  size_t batch, size_t number);

// The answer of kRbacStamped.
struct StampedAnswer {
  bool allowed = false;
  int64_t rule = 0, document = 0;  // number of the release, from either file
};
// nullopt when a member is missing.
std::optional<StampedAnswer> stamped_answer(const HttpAnswer& answer);

}  // namespace notp::bench
