#include "common/http/client.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "common/http/deadline.hpp"
#include "common/http/dial.hpp"
#include "common/http/exchange.hpp"

namespace notp::http {

namespace asio = boost::asio;

namespace {

std::unexpected<Error> of_call(const Call& call, Error error) {
  error.message = fmt::format("{} {}: {}", call.method, call.url, error.message);
  return std::unexpected(std::move(error));
}

// RFC 6761 §6.3: the name is this machine's, whatever a name server answers.
HostPort dialled(const HostPort& at) {
  return at.host == "localhost" ? HostPort{"127.0.0.1", at.port} : at;
}

asio::awaitable<Result<Response>> converse(Stream& stream, const ClientTls* tls, const Call& call,
                                           const Url& url, Bytes head) {
  Exchange exchange(stream, call);
  if (tls != nullptr)
    if (auto safe = co_await exchange.shake_hands(*tls, url.at.host); !safe)
      co_return std::unexpected(std::move(safe).error());
  co_return co_await exchange.run(std::move(head));
}

}  // namespace

Result<Client> Client::open(ClientOptions options) {
  NOTP_ASSIGN(ClientTlsPtr tls, ClientTls::load(options.tls));
  return Client(std::move(tls), std::move(options));
}

Result<ProxyRoute> Client::route_to(const Url& url) const {
  return choose_proxy(options_.proxy, url.is_tls ? options_.environment : Environment(), url.at);
}

asio::awaitable<Result<Response>> Client::call(Call call) const {
  const auto url = Url::parse(call.url);
  if (!url) co_return std::unexpected(url.error());
  if (url->is_tls && !tls_)
    co_return of_call(call, {ErrorCode::kUsage, "this client calls http:// alone", {}});
  auto head = request_head(call, *url);
  if (!head) co_return of_call(call, std::move(head).error());
  auto route = route_to(*url);
  if (!route) co_return of_call(call, std::move(route).error());

  const TimeMs until_ms = read_clock().boot_ms + call.deadline_ms;
  const HostPort at = route->proxy ? url->at : dialled(url->at);
  auto socket = co_await dial(at, std::move(route->proxy), until_ms);
  if (!socket) co_return of_call(call, std::move(socket).error());
  Stream stream(*std::move(socket));
  bool is_late = false;
  const auto close = [&] {
    is_late = true;
    stream.close();
  };
  const Deadline deadline(stream.socket().get_executor(),
                          std::max<TimeMs>(0, until_ms - read_clock().boot_ms), close);
  auto response =
      co_await converse(stream, url->is_tls ? tls_.get() : nullptr, call, *url, *std::move(head));
  if (response) co_return response;
  if (is_late)
    co_return of_call(
        call,
        {ErrorCode::kTimeout, fmt::format("no whole answer within {} ms", call.deadline_ms), {}});
  co_return of_call(call, std::move(response).error());
}

Result<Response> Client::call_blocking(Call request) const {
  asio::io_context context(1);
  Result<Response> outcome = fail(ErrorCode::kInternal, "the call did not end");
  asio::co_spawn(context, call(std::move(request)),
                 [&](const std::exception_ptr& exception, Result<Response> result) {
                   if (!exception) outcome = std::move(result);
                 });
  context.run();
  return outcome;
}

}  // namespace notp::http
