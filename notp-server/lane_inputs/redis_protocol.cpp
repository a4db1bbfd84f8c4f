#include "notp-server/lane_inputs/redis_protocol.hpp"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <algorithm>
#include <utility>

namespace notp::lane_inputs {
namespace {

// hiredis frees through free_reply() what these return, whatever becomes of the reply. Null makes
// it refuse the reply.
RedisReply* place_of(const redisReadTask* task) {
  if (task->parent == nullptr) return new RedisReply;
  auto* parent = static_cast<RedisReply*>(task->parent->obj);
  return &parent->items[static_cast<size_t>(task->idx)];
}

void* create_text(const redisReadTask* task, char* text, size_t size) {
  RedisReply* reply = place_of(task);
  reply->kind =
      task->type == REDIS_REPLY_ERROR ? RedisReply::Kind::kError : RedisReply::Kind::kText;
  reply->text.assign(text, size);
  return reply;
}

void* create_array(const redisReadTask* task, int elements) {
  if (task->parent != nullptr || elements < 0 || static_cast<size_t>(elements) > kRedisItemsMax)
    return nullptr;
  RedisReply* reply = place_of(task);
  reply->kind = RedisReply::Kind::kArray;
  // Before there are items: they do not move when the next one is created.
  reply->items.resize(static_cast<size_t>(elements));
  return reply;
}

void* create_integer(const redisReadTask* task, long long value) {
  RedisReply* reply = place_of(task);
  reply->kind = RedisReply::Kind::kInteger;
  reply->integer = value;
  return reply;
}

void* create_nil(const redisReadTask* task) { return place_of(task); }

// Only the outermost reply is freed.
void free_reply(void* reply) { delete static_cast<RedisReply*>(reply); }

redisReplyObjectFunctions kFunctions = {.createString = create_text,
                                        .createArray = create_array,
                                        .createInteger = create_integer,
                                        .createNil = create_nil,
                                        .freeObject = free_reply};

}  // namespace

void RedisReader::Freed::operator()(redisReader* reader) const { redisReaderFree(reader); }

RedisReader::RedisReader(size_t bytes_max)
    : bytes_max_(bytes_max), reader_(redisReaderCreateWithFunctions(&kFunctions)) {}

RedisReader::~RedisReader() = default;

Result<void> RedisReader::feed(ByteView bytes) {
  if (!reader_) return fail(ErrorCode::kInternal, "hiredis has no memory");
  if (reader_->len - reader_->pos + bytes.size() > 2 * bytes_max_)
    return fail(ErrorCode::kLimit, fmt::format("a reply of more than {} bytes", bytes_max_));
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK)
    return fail(ErrorCode::kMessage, "hiredis refuses the server's bytes");
  return {};
}

Result<std::optional<RedisReply>> RedisReader::next() {
  void* raw = nullptr;
  if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
    // Its own text may repeat what was sent.
    return fail(ErrorCode::kMessage,
                "the server's reply is not one that a subscriber gets; is it Redis?");
  }
  if (raw == nullptr) {
    if (reader_->len - reader_->pos > bytes_max_)
      return fail(ErrorCode::kLimit, fmt::format("a reply of more than {} bytes", bytes_max_));
    return std::nullopt;
  }
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(raw));
  const auto is_large = [this](const RedisReply& one) { return one.text.size() > bytes_max_; };
  if (is_large(*reply) || std::ranges::any_of(reply->items, is_large))
    return fail(ErrorCode::kLimit, fmt::format("a text of more than {} bytes", bytes_max_));
  return std::move(*reply);
}

Bytes redis_command(std::span<const std::string_view> words) {
  Bytes out = fmt::format("*{}\r\n", words.size());
  for (const std::string_view word : words) out += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return out;
}

}  // namespace notp::lane_inputs
