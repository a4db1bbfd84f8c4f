// A name server that does not answer.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <netdb.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <latch>
#include <optional>
#include <string_view>

#include "common/http/dial.hpp"
#include "common/spawn.hpp"

namespace {

constexpr std::string_view kSilent = "silent.example", kNext = "next.example";
std::latch answers(1);
std::atomic<int> next_lookups = 0;

}  // namespace

// Instead of the system's.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (node == kSilent) {
    answers.wait();
    return EAI_AGAIN;
  }
  if (node == kNext) ++next_lookups;
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, found);
}

namespace notp::http {
namespace {

TEST_CASE("a lookup that is not answered ends a call in time, and so does one behind it") {
  boost::asio::io_context context;
  const auto dialled = [&](std::string_view name) {
    std::optional<Error> error;
    const auto dial_it = [&]() -> boost::asio::awaitable<void> {
      const auto socket =
          co_await dial({std::string(name), 1}, std::nullopt, read_clock().boot_ms + 20);
      error = socket ? Error() : socket.error();
    };
    spawn(context.get_executor(), dial_it());
    while (!error) context.run_one();
    CHECK(error->code == ErrorCode::kTimeout);
    return error->message;
  };
  CHECK(dialled(kSilent).contains("silent.example was not resolved in time"));
  CHECK(dialled(kNext).contains("next.example was not resolved in time"));
  // Answers after the end of those calls; the second is not even asked for.
  answers.count_down();
  context.run();
  CHECK(next_lookups == 0);
}

}  // namespace
}  // namespace notp::http
