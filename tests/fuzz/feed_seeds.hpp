// The statements and names of a token lane as fuzz_feed reads them: the first byte chooses.
#pragma once

#include <map>
#include <string>

#include "common/zstd.hpp"
#include "tests/support/wire/lane_samples.hpp"

namespace notp::fuzz {

inline std::map<std::string, Bytes> feed_seeds() {
  feed::Batch every = samples::lane_batch();
  every.events.push_back(samples::status_list());
  every.events.push_back(samples::live_token());
  feed::Answer known = samples::unknown_token();
  known.event = samples::live_token();
  known.id = known.event->id;
  const Bytes body = every.encode();
  return {{"batch", "b" + body},
          {"heartbeat", "b" + samples::heartbeat().encode()},
          {"snapshot", "s" + samples::lane_snapshot().encode()},
          {"answer", "a" + known.encode()},
          {"answer_unknown", "a" + samples::unknown_token().encode()},
          {"record", "r" + feed::encode_record(samples::token_record())},
          {"key", "k" + feed::key_of(samples::live_token()).bytes()},
          {"digits", "h" + feed::token_id(samples::kToken).hex()},
          {"sealed", "o" + body},
          {"sealed_compressed", "z" + *zstd_compress(body, {}, {})},
          {"sealed_bomb", "z" + *zstd_compress(Bytes(3 << 20, 'z'), {}, {})}};
}

}  // namespace notp::fuzz
