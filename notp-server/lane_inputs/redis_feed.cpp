#include "notp-server/lane_inputs/redis_feed.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <array>
#include <deque>

#include "common/storage/private_files.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/redis_protocol.hpp"

namespace notp::lane_inputs {
namespace {

namespace asio = boost::asio;

constexpr size_t kPieceBytes = 16 << 10;
constexpr size_t kPasswordBytesMax = 1 << 10;

class RedisFeed final : public TokenFeed {
 public:
  explicit RedisFeed(RedisTerms terms) : terms_(std::move(terms)) {}

  asio::awaitable<Error> run(const FeedListener& listener) override;

 private:
  // One connection.
  struct Connection {
    explicit Connection(std::unique_ptr<WireStream> open) : stream(std::move(open)) {}
    std::unique_ptr<WireStream> stream;
    RedisReader reader{kStreamMessageBytesMax};
  };

  asio::awaitable<Result<void>> subscribe(Connection& at, TimeMs until_ms) const;
  asio::awaitable<Error> listen(Connection& at, const FeedListener& listener) const;
  // kTimeout after `wait_ms` without a byte.
  static asio::awaitable<Result<RedisReply>> next(Connection& at, TimeMs wait_ms);
  static asio::awaitable<Result<RedisReply>> ask(Connection& at, Bytes command, TimeMs until_ms);
  Result<Bytes> authentication() const;

  const RedisTerms terms_;
};

bool begins_with(const RedisReply& reply, std::string_view word, size_t items) {
  return reply.kind == RedisReply::Kind::kArray && reply.items.size() == items &&
         reply.items[0].text == word;
}

// "NOAUTH Authentication required." of a reply; the first word is the code.
std::unexpected<Error> refused(const RedisReply& reply, std::string_view command) {
  if (reply.kind != RedisReply::Kind::kError)
    return fail(ErrorCode::kMessage,
                fmt::format("Redis answers {} with something else; is it Redis?", command));
  // The text may repeat the command's words: of AUTH these are the password.
  const std::string_view text = reply.text;
  return fail(ErrorCode::kDenied,
              fmt::format("Redis refuses {}: {}", command,
                          printable(command == "AUTH" ? text.substr(0, text.find(' ')) : text)));
}

TimeMs left_ms(TimeMs until_ms) { return std::max<TimeMs>(1, until_ms - read_clock().boot_ms); }

asio::awaitable<Result<RedisReply>> RedisFeed::next(Connection& at, TimeMs wait_ms) {
  while (true) {
    auto reply = at.reader.next();
    if (!reply) co_return std::unexpected(std::move(reply).error());
    if (*reply) co_return **std::move(reply);
    std::array<char, kPieceBytes> piece;
    const auto size = co_await at.stream->read(piece.data(), piece.size(), wait_ms);
    if (!size) co_return std::unexpected(size.error());
    if (auto fed = at.reader.feed({piece.data(), *size}); !fed)
      co_return std::unexpected(std::move(fed).error());
  }
}

asio::awaitable<Result<RedisReply>> RedisFeed::ask(Connection& at, Bytes command, TimeMs until_ms) {
  const auto written = co_await at.stream->write(command, left_ms(until_ms));
  OPENSSL_cleanse(command.data(), command.size());
  if (!written) co_return std::unexpected(written.error());
  auto reply = co_await next(at, left_ms(until_ms));
  co_return reply;
}

// Empty: there is none.
Result<Bytes> RedisFeed::authentication() const {
  if (terms_.password_file.empty()) return Bytes();
  NOTP_ASSIGN(Bytes password, read_private_file(terms_.password_file, kPasswordBytesMax));
  while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  Bytes out;
  if (terms_.user.empty())
    out = redis_command(std::array<std::string_view, 2>{"AUTH", password});
  else
    out = redis_command(std::array<std::string_view, 3>{"AUTH", terms_.user, password});
  OPENSSL_cleanse(password.data(), password.size());
  return out;
}

asio::awaitable<Result<void>> RedisFeed::subscribe(Connection& at, TimeMs until_ms) const {
  auto authentication = this->authentication();
  if (!authentication) co_return std::unexpected(std::move(authentication).error());
  if (!authentication->empty()) {
    const auto reply = co_await ask(at, *std::move(authentication), until_ms);
    if (!reply) co_return std::unexpected(reply.error());
    if (reply->kind != RedisReply::Kind::kText || reply->text != "OK")
      co_return refused(*reply, "AUTH");
  }
  const auto reply = co_await ask(
      at, redis_command(std::array<std::string_view, 2>{"SUBSCRIBE", terms_.channel}), until_ms);
  if (!reply) co_return std::unexpected(reply.error());
  if (!begins_with(*reply, "subscribe", 3) || reply->items[1].text != terms_.channel)
    co_return refused(*reply, "SUBSCRIBE");
  co_return Result<void>();
}

asio::awaitable<Error> RedisFeed::listen(Connection& at, const FeedListener& listener) const {
  bool is_asked = false;
  while (true) {
    const auto reply = co_await next(at, is_asked ? kStreamDeadMs : kStreamQuietMs);
    if (!reply && (is_asked || reply.error().code != ErrorCode::kTimeout)) {
      Error error = reply.error();
      co_return error;
    }
    if (!reply) {
      const Bytes ping = redis_command(std::array<std::string_view, 1>{"PING"});
      const auto written = co_await at.stream->write(ping, kStreamDeadMs);
      if (!written) co_return written.error();
      is_asked = true;
      continue;
    }
    is_asked = false;
    listener.heard();
    if (begins_with(*reply, "message", 3) && reply->items[1].text == terms_.channel)
      listener.message(reply->items[2].text);
    else if (!begins_with(*reply, "pong", 2))
      co_return refused(*reply, "the subscription").error();
  }
}

asio::awaitable<Error> RedisFeed::run(const FeedListener& listener) {
  const TimeMs until_ms = read_clock().boot_ms + kStreamConnectMs;
  auto open = co_await WireStream::connect(terms_.target, until_ms);
  if (!open) co_return std::move(open).error();
  Connection at(*std::move(open));
  auto subscribed = co_await subscribe(at, until_ms);
  if (!subscribed) co_return std::move(subscribed).error();
  listener.subscribed();
  auto error = co_await listen(at, listener);
  co_return error;
}

}  // namespace

TokenFeedPtr make_redis_feed(RedisTerms terms) {
  return std::make_unique<RedisFeed>(std::move(terms));
}

}  // namespace notp::lane_inputs
