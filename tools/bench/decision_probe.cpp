#include "tools/bench/decision_probe.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>

#include "common/json/json.hpp"

namespace notp::bench {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace message = boost::beast::http;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr auto kAnswerMs = std::chrono::milliseconds(60'000);  // a PDP may be loading a model
// Leaves the cores to the measured programs.
constexpr auto kPause = std::chrono::microseconds(200);
constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr unsigned kHttp11 = 11;

// The number in a rule's result; nullopt while undefined.
std::optional<int64_t> number_in(const std::string& body) {
  const auto answer = parse_json(body);
  const json::object* object = answer ? answer->if_object() : nullptr;
  const json::value* result = object ? object->if_contains("result") : nullptr;
  if (!result || !result->is_number()) return std::nullopt;
  boost::system::error_code not_integer;
  const int64_t number = result->to_number<int64_t>(not_integer);
  return not_integer ? std::nullopt : std::optional(number);
}

}  // namespace

struct DecisionProbe::State {
  asio::io_context io{1};
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
  message::request<message::empty_body> request;

  Result<std::optional<int64_t>> ask();
};

Result<std::optional<int64_t>> DecisionProbe::State::ask() {
  message::response_parser<message::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  error_code failed;
  stream.expires_after(kAnswerMs);
  message::async_write(stream, request, [&](error_code unsent, size_t) {
    failed = unsent;
    if (unsent) return;
    message::async_read(stream, buffer, parser,
                        [&](error_code unanswered, size_t) { failed = unanswered; });
  });
  io.restart();
  io.run();
  if (failed) return fail(ErrorCode::kUnavailable, "the PDP does not answer: " + failed.message());
  if (parser.get().result() != message::status::ok)
    return fail(ErrorCode::kUnavailable,
                fmt::format("the PDP answers {}: {}", parser.get().result_int(),
                            parser.get().body().substr(0, 500)));
  return number_in(parser.get().body());
}

DecisionProbe::DecisionProbe(std::unique_ptr<State> state) : state_(std::move(state)) {}
DecisionProbe::~DecisionProbe() = default;

Result<std::unique_ptr<DecisionProbe>> DecisionProbe::connect(uint16_t port,
                                                              const std::string& path) {
  auto state = std::make_unique<State>();
  error_code refused;
  auto& socket = state->stream.socket();
  socket.connect({asio::ip::address_v4::loopback(), port}, refused);
  if (!refused) socket.set_option(asio::ip::tcp::no_delay(true), refused);
  if (refused)
    return fail(ErrorCode::kUnavailable, "the PDP does not listen: " + refused.message());
  state->request.method(message::verb::get);
  state->request.target("/v1/data/" + path);
  state->request.version(kHttp11);
  state->request.set(message::field::host, fmt::format("127.0.0.1:{}", port));
  return std::unique_ptr<DecisionProbe>(new DecisionProbe(std::move(state)));
}

Result<steady_clock::time_point> DecisionProbe::await(int64_t number, TimeMs patience_ms,
                                                      std::stop_token stop) {
  const auto deadline = steady_clock::now() + std::chrono::milliseconds(patience_ms);
  std::optional<int64_t> last;
  for (;;) {
    NOTP_ASSIGN(last, state_->ask());
    const auto now = steady_clock::now();
    if (last == number) return now;
    if (now > deadline || stop.stop_requested())
      return fail(ErrorCode::kTimeout, fmt::format("the PDP does not decide with change {} (it has "
                                                   "{})",
                                                   number, last ? std::to_string(*last) : "none"));
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace notp::bench
