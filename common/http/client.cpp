#include "common/http/client.hpp"

#include <fmt/format.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>

namespace notp::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace message = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

struct Target {
  tcp::endpoint endpoint;
  std::string host;  // for the Host header
  std::string path;
};

Result<Target> parse_url(std::string_view url) {
  const auto refuse = [&] {
    return fail(ErrorCode::kUsage,
                fmt::format("{} is not a URL of the form http://127.0.0.1:8181/path", url));
  };
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return refuse();
  std::string_view rest = url.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  Target target{{},
                std::string(authority),
                slash == std::string_view::npos ? "/" : std::string(rest.substr(slash))};
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  const std::string_view number = authority.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, bad] = std::from_chars(number.data(), number.data() + number.size(), port);
  if (bad != std::errc() || end != number.data() + number.size()) return refuse();
  std::string_view host = authority.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return refuse();
  target.endpoint = {address, port};
  return target;
}

std::unexpected<Error> broken(const Call& call, error_code error) {
  const auto text = fmt::format("{} {}: {}", call.method, call.url, error.message());
  if (error == beast::error::timeout) return fail(ErrorCode::kTimeout, text);
  if (error == message::error::body_limit || error == message::error::header_limit)
    return fail(ErrorCode::kLimit, text);
  const bool is_ours =
      error.category() == message::make_error_code(message::error::body_limit).category() &&
      error != message::error::end_of_stream && error != message::error::partial_message;
  return fail(is_ours ? ErrorCode::kMessage : ErrorCode::kUnavailable, text);
}

Response to_response(message::response<message::string_body>&& from) {
  Response response;
  response.status = from.result_int();
  response.content_type = from[message::field::content_type];
  for (const auto& field : from) response.headers.emplace_back(field.name_string(), field.value());
  response.body = std::move(from.body());
  return response;
}

}  // namespace

asio::awaitable<Result<Response>> call(Call call) {
  Result<Target> target = parse_url(call.url);
  if (!target) co_return std::unexpected(std::move(target).error());
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(std::chrono::milliseconds(call.deadline_ms));
  auto [connect_error] = co_await stream.async_connect(target->endpoint, kAwait);
  if (connect_error) co_return broken(call, connect_error);

  message::request<message::span_body<const char>> request;
  request.version(11);
  request.method_string(call.method);
  request.target(target->path);
  request.set(message::field::host, target->host);
  for (const auto& [name, value] : call.headers) request.insert(name, value);
  request.body() = {call.body.data(), call.body.size()};
  request.keep_alive(false);
  request.prepare_payload();
  auto [write_error, written] = co_await message::async_write(stream, request, kAwait);
  if (write_error) co_return broken(call, write_error);

  beast::flat_buffer buffer;
  message::response_parser<message::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(limits::kHttpHeaderBytesMax));
  parser.body_limit(call.answer_bytes_max);
  if (call.method == "HEAD") parser.skip(true);
  auto [read_error, read] = co_await message::async_read(stream, buffer, parser, kAwait);
  if (read_error) co_return broken(call, read_error);
  co_return to_response(parser.release());
}

Result<Response> call_blocking(Call request) {
  asio::io_context context(1);
  Result<Response> outcome = fail(ErrorCode::kInternal, "the call did not end");
  asio::co_spawn(context, call(std::move(request)),
                 [&](std::exception_ptr exception, Result<Response> result) {
                   if (!exception) outcome = std::move(result);
                 });
  context.run();
  return outcome;
}

}  // namespace notp::http
