#include "notp-server/lane_inputs/postgresql_feed.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <span>
#include <string_view>

#include "common/c_ptr.hpp"
#include "common/http/deadline.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"

namespace notp::lane_inputs {
namespace {

namespace asio = boost::asio;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kPasswordBytesMax = 1 << 10;

using Connection = CPointer<PGconn, PQfinish>;
using QueryResult = CPointer<PGresult, PQclear>;
using Notification = CPointer<PGnotify, PQfreemem>;

enum class Ready : uint8_t { kYes, kTimeout, kFailed };

// libpq may use another socket after each step, so that one is borrowed for each wait.
asio::awaitable<Ready> wait_for(const PGconn* connection, bool writing, TimeMs wait_ms) {
  const int descriptor = ::dup(PQsocket(connection));
  if (descriptor < 0) co_return Ready::kFailed;
  const auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor socket(executor, descriptor);
  bool is_late = false;
  const auto cancel = [&] {
    is_late = true;
    socket.cancel();
  };
  const http::Deadline deadline(executor, wait_ms, cancel);
  const auto type = writing ? asio::posix::stream_descriptor::wait_write
                            : asio::posix::stream_descriptor::wait_read;
  const auto [error] = co_await socket.async_wait(type, kAwait);
  if (is_late) co_return Ready::kTimeout;
  co_return error ? Ready::kFailed : Ready::kYes;
}

TimeMs left_ms(TimeMs until_ms) { return std::max<TimeMs>(1, until_ms - read_clock().boot_ms); }

Error failed(const PGconn* connection, std::string_view what, ErrorCode code) {
  std::string why = PQerrorMessage(connection);
  while (why.ends_with('\n')) why.pop_back();
  std::ranges::replace_if(why, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return {code, fmt::format("{}: {}", what, printable(why, 400)), {}};
}

Error late(std::string_view what) {
  return {ErrorCode::kTimeout, fmt::format("PostgreSQL did not {} in time", what), {}};
}

// libpq takes what it is not given, or is given as empty, from the environment: another host, other
// credentials, or a service file with both. A variable cannot be removed while there are threads.
Result<void> check_environment(std::span<const char* const> names,
                               std::span<const char* const> values) {
  using Options = CPointer<PQconninfoOption, PQconninfoFree>;
  const Options options(PQconninfoParse("", nullptr));
  if (!options) return fail(ErrorCode::kInternal, "libpq has no memory");
  for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
    const char* const set = one->envvar == nullptr ? nullptr : std::getenv(one->envvar);
    if (set == nullptr || *set == '\0') continue;
    const auto given = std::ranges::find_if(names, [&](const char* name) {
      return name != nullptr && std::string_view(name) == one->keyword;
    });
    if (given != names.end() && *values[static_cast<size_t>(given - names.begin())] != '\0')
      continue;
    return fail(ErrorCode::kConfig,
                fmt::format("the environment has {}, which would change how PostgreSQL is reached: "
                            "start the registry without it",
                            one->envvar));
  }
  return {};
}

class PostgresqlFeed final : public TokenFeed {
 public:
  explicit PostgresqlFeed(PostgresqlTerms terms) : terms_(std::move(terms)) {}

  asio::awaitable<Error> run(const FeedListener& listener) override;

 private:
  Result<Connection> start() const;
  static asio::awaitable<Result<void>> connect(PGconn* connection, TimeMs until_ms);
  // Runs a statement that returns no rows.
  static asio::awaitable<Result<void>> execute(PGconn* connection, std::string statement,
                                               TimeMs until_ms);
  asio::awaitable<Error> listen(PGconn* connection, const FeedListener& listener) const;
  // Whether there was any.
  bool take_notifications(PGconn* connection, const FeedListener& listener) const;

  const PostgresqlTerms terms_;
};

Result<Connection> PostgresqlFeed::start() const {
  std::string password;
  if (!terms_.password_file.empty()) {
    NOTP_ASSIGN(password, read_private_file(terms_.password_file, kPasswordBytesMax));
    while (password.ends_with('\n') || password.ends_with('\r')) password.pop_back();
  }
  const std::string port = std::to_string(terms_.at.port), ca = terms_.ca.string();
  const std::array<std::pair<const char*, const char*>, 11> parameters = {{
      {"host", terms_.at.host.c_str()},
      {"port", port.c_str()},
      {"dbname", terms_.database.c_str()},
      {"user", terms_.user.c_str()},
      {"password", password.c_str()},
      {"passfile", "/dev/null"},
      {"sslmode", ca.empty() ? "disable" : "verify-full"},
      {"sslrootcert", ca.empty() ? "/dev/null" : ca.c_str()},
      {"gssencmode", "disable"},
      {"client_encoding", "UTF8"},
      {"application_name", "notp-server"},
  }};
  std::array<const char*, parameters.size() + 1> names{}, values{};
  for (size_t i = 0; i < parameters.size(); ++i) {
    names[i] = parameters[i].first;
    values[i] = parameters[i].second;
  }
  NOTP_TRY(check_environment(names, values));
  Connection connection(PQconnectStartParams(names.data(), values.data(), 0));
  OPENSSL_cleanse(password.data(), password.size());
  if (!connection) return fail(ErrorCode::kInternal, "libpq has no memory");
  if (PQstatus(connection.get()) == CONNECTION_BAD)
    return std::unexpected(failed(connection.get(),
                                  fmt::format("cannot connect to {}", terms_.at.text()),
                                  ErrorCode::kUnavailable));
  // Its own way to say something is standard error.
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

asio::awaitable<Result<void>> PostgresqlFeed::connect(PGconn* connection, TimeMs until_ms) {
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED)
      co_return std::unexpected(failed(connection, "PostgreSQL", ErrorCode::kUnavailable));
    const Ready ready =
        co_await wait_for(connection, next == PGRES_POLLING_WRITING, left_ms(until_ms));
    if (ready == Ready::kTimeout) co_return std::unexpected(late("let this registry connect"));
    next = PQconnectPoll(connection);
  }
  if (PQsetnonblocking(connection, 1) != 0)
    co_return std::unexpected(failed(connection, "PostgreSQL", ErrorCode::kInternal));
  co_return Result<void>();
}

asio::awaitable<Result<void>> PostgresqlFeed::execute(PGconn* connection, std::string statement,
                                                      TimeMs until_ms) {
  if (PQsendQuery(connection, statement.c_str()) != 1)
    co_return std::unexpected(failed(connection, "PostgreSQL", ErrorCode::kUnavailable));
  while (PQflush(connection) == 1)
    if (co_await wait_for(connection, true, left_ms(until_ms)) != Ready::kYes)
      co_return std::unexpected(late("take a statement"));
  while (true) {
    if (PQconsumeInput(connection) != 1)
      co_return std::unexpected(failed(connection, "PostgreSQL", ErrorCode::kUnavailable));
    if (PQisBusy(connection) == 1) {
      if (co_await wait_for(connection, false, left_ms(until_ms)) != Ready::kYes)
        co_return std::unexpected(late("answer"));
      continue;
    }
    const QueryResult result(PQgetResult(connection));
    if (!result) co_return Result<void>();  // the statement's end
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY)
      co_return std::unexpected(failed(connection, "PostgreSQL refuses", ErrorCode::kDenied));
  }
}

bool PostgresqlFeed::take_notifications(PGconn* connection, const FeedListener& listener) const {
  bool any = false;
  while (const Notification notification{PQnotifies(connection)}) {
    any = true;
    listener.heard();
    if (notification->relname == terms_.channel) listener.message(notification->extra);
  }
  return any;
}

asio::awaitable<Error> PostgresqlFeed::listen(PGconn* connection,
                                              const FeedListener& listener) const {
  while (true) {
    if (PQconsumeInput(connection) != 1)
      co_return failed(connection, "PostgreSQL", ErrorCode::kUnavailable);
    if (take_notifications(connection, listener)) continue;
    const Ready ready = co_await wait_for(connection, false, kStreamQuietMs);
    if (ready == Ready::kFailed)
      co_return failed(connection, "PostgreSQL", ErrorCode::kUnavailable);
    if (ready == Ready::kYes) continue;
    // An empty statement: it answers, or it is not there.
    const TimeMs until_ms = read_clock().boot_ms + kStreamDeadMs;
    auto alive = co_await execute(connection, "", until_ms);
    if (!alive) co_return std::move(alive).error();
    listener.heard();
  }
}

asio::awaitable<Error> PostgresqlFeed::run(const FeedListener& listener) {
  const TimeMs until_ms = read_clock().boot_ms + kStreamConnectMs;
  auto connection = start();
  if (!connection) co_return std::move(connection).error();
  auto connected = co_await connect(connection->get(), until_ms);
  if (!connected) co_return std::move(connected).error();
  using Text = CPointer<char, PQfreemem>;
  const Text channel(
      PQescapeIdentifier(connection->get(), terms_.channel.data(), terms_.channel.size()));
  if (!channel) co_return failed(connection->get(), "the channel", ErrorCode::kConfig);
  auto listening =
      co_await execute(connection->get(), fmt::format("LISTEN {}", channel.get()), until_ms);
  if (!listening) co_return std::move(listening).error();
  listener.subscribed();
  auto error = co_await listen(connection->get(), listener);
  co_return error;
}

}  // namespace

TokenFeedPtr make_postgresql_feed(PostgresqlTerms terms) {
  return std::make_unique<PostgresqlFeed>(std::move(terms));
}

}  // namespace notp::lane_inputs
