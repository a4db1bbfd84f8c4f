// The statements and names of a token lane as fuzz_feed reads them: the first byte chooses.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>

#include "common/assert.hpp"
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

// Of fuzz_token_table: how many events are first, whether segments are written anew, the batch.
inline std::map<std::string, Bytes> token_table_seeds() {
  constexpr size_t kTokens = 1'500;  // in one shard: more than its changes hold
  feed::Batch few = samples::lane_batch(), many{samples::lane_header(2 * kTokens), 0, 0, {}};
  few.events.push_back(samples::status_list());
  few.events.push_back(samples::live_token());
  for (size_t number = 0; number < kTokens; ++number) {
    feed::TokenId id = feed::token_id(std::to_string(number));
    id.bytes[0] = 4;
    feed::TokenRecord record = samples::token_record();
    if (number % 2 == 1) record.sub = fmt::format("00000000-0000-4000-8000-{:012x}", number);
    if (number % 3 == 1) record.sid = record.client;
    if (number % 5 == 1) record.aud = {};
    many.events.push_back(feed::Event::token(id, record));
    if (number % 7 == 1) many.events.push_back(feed::Event::deleted(id, record.exp_s + 60));
    if (number % 11 == 1) many.events.push_back(feed::Event::mark(id, record.iat_s, record.exp_s));
  }
  many.to = many.events.size();
  NOTP_ASSERT(feed::Batch::decode(many.encode()), "a seed that is read");
  return {{"few", Bytes("\x02\x01", 2) + few.encode()},
          {"many", Bytes("\xff\x00", 2) + many.encode()},
          {"many_anew", Bytes("\xff\x01", 2) + many.encode()}};
}

}  // namespace notp::fuzz
