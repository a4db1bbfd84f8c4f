#include "notp-server/sources/issuer_calls.hpp"

#include <boost/asio/co_spawn.hpp>
#include <utility>

namespace notp::sources {

Result<http::Response> IssuerCalls::call(http::Call call) {
  return run(client_.call(std::move(call)));
}

Result<http::Response> IssuerCalls::call_authorized(http::Call call) {
  return run(tokens_ ? tokens_->call(std::move(call)) : client_.call(std::move(call)));
}

Result<http::Response> IssuerCalls::run(boost::asio::awaitable<Result<http::Response>> calling) {
  Result<http::Response> outcome = fail(ErrorCode::kCancelled, "the registry stops");
  context_.restart();
  // After restart(), which would take back a stop().
  if (stopped_) return outcome;
  boost::asio::co_spawn(context_, std::move(calling),
                        [&](const std::exception_ptr& exception, Result<http::Response> result) {
                          if (!exception) outcome = std::move(result);
                        });
  context_.run();
  return outcome;
}

void IssuerCalls::stop() {
  stopped_ = true;
  context_.stop();
}

}  // namespace notp::sources
