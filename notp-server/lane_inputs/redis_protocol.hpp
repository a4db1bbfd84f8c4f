// The part of Redis' protocol (RESP2) that a subscriber needs, read by hiredis within limits. Pure.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"

struct redisReader;

namespace notp::lane_inputs {

inline constexpr size_t kRedisItemsMax = 8;  // of one array: "message" has three

struct RedisReply {
  enum class Kind : uint8_t { kText, kError, kInteger, kNil, kArray };
  Kind kind = Kind::kNil;
  std::string text;               // kText, kError
  int64_t integer = 0;            // kInteger
  std::vector<RedisReply> items;  // kArray: none of them is an array
};

// One thread.
class RedisReader {
 public:
  // A text of more than `bytes_max`, or so many bytes without a whole reply, is refused.
  explicit RedisReader(size_t bytes_max);
  ~RedisReader();
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;

  // kLimit; kMessage: not RESP2, or an array in an array. No call is made after an error.
  Result<void> feed(ByteView bytes);
  // The next whole reply; nullopt: more bytes are needed. Errors as above.
  Result<std::optional<RedisReply>> next();

 private:
  struct Freed {
    void operator()(redisReader* reader) const;
  };
  const size_t bytes_max_;
  std::unique_ptr<redisReader, Freed> reader_;
};

// A command in RESP2: an array of bulk strings.
Bytes redis_command(std::span<const std::string_view> words);

}  // namespace notp::lane_inputs
