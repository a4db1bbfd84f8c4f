#include "notp-client/opa_log/logs_route.hpp"

#include <boost/asio.hpp>
#include <memory>

#include "notp-client/opa_log/opa_event.hpp"

namespace notp::opa_log {
namespace {

namespace asio = boost::asio;

using Done = void(std::shared_ptr<Result<void>>);

// Parses and records on the pool, and completes on the caller's executor. Nothing ends it early:
// `body` outlives it.
asio::awaitable<Result<void>> record(Intake& intake, asio::thread_pool& pool, ByteView body) {
  auto initiate = [&](auto handler) {
    using Handler = decltype(handler);
    auto shared = std::make_shared<Handler>(std::move(handler));
    const auto work = asio::make_work_guard(*shared);
    auto finish = [shared, work](Result<void> outcome) {
      asio::post(work.get_executor(),
                 [shared, outcome = std::make_shared<Result<void>>(std::move(outcome))]() mutable {
                   std::move (*shared)(std::move(outcome));
                 });
    };
    asio::post(pool, [&intake, finish, body] {
      auto events = parse_events(body);
      if (!events) return finish(std::unexpected(std::move(events).error()));
      // Calls back only if it takes them.
      if (auto taken = intake.accept(std::move(events->events), finish); !taken)
        return finish(std::move(taken));
      intake.damaged(events->damaged, events->first_damage);
    });
  };
  const auto outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>, Done>(
      initiate, asio::use_awaitable);
  co_return *outcome;
}

}  // namespace

asio::awaitable<http::Response> OpaLogRoute::logs_post(const http::Request& request) {
  const auto recorded = co_await record(intake_, pool_, request.body);
  http::Response response;
  response.status = 204;
  if (recorded) co_return response;
  const bool is_malformed = recorded.error().code == ErrorCode::kMessage;
  co_return http::error_response(is_malformed ? 400 : 503,
                                 is_malformed ? "invalid_parameter" : "audit_unavailable",
                                 recorded.error().message);
}

}  // namespace notp::opa_log
