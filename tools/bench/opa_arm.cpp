#include "tools/bench/opa_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>

#include "common/crypto/digest.hpp"
#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/agent_arm.hpp"

namespace notp::bench {

namespace asio = boost::asio;

namespace {

constexpr TimeMs kStartMs = 60'000, kStopMs = 30'000, kPackMs = 600'000, kHoldsMs = 600'000;
constexpr int kPollMs = 5;
constexpr int64_t kLongPollS = 60;
constexpr std::string_view kBundleType = "application/vnd.openpolicyagent.bundles";

// Seconds of "Prefer: modes=snapshot,delta;wait=60"; 0: does not wait.
int64_t wait_of(const http::Request& request) {
  const std::string_view prefer = request.header("Prefer");
  const size_t at = prefer.find("wait=");
  int64_t seconds = 0;
  if (at != std::string_view::npos)
    std::from_chars(prefer.data() + at + 5, prefer.data() + prefer.size(), seconds);
  return std::clamp<int64_t>(seconds, 0, kLongPollS);
}

}  // namespace

// The bundle served, and the requests that wait for the next. Shared with the server's handlers.
struct OpaArm::Bundles {
  struct Bundle {
    model::Content content;
    std::string etag;
  };
  asio::io_context& io;  // one thread runs it
  std::mutex mutex;
  Bundle current;  // guarded by mutex
  // Guarded by mutex: the etag of the waiting request; empty at first.
  std::string waiting_for_next;
  std::set<asio::steady_timer*> waiters;  // used by the io thread only

  explicit Bundles(asio::io_context& context) : io(context) {}

  Bundle get() {
    const std::scoped_lock lock(mutex);
    return current;
  }
  void set_waiting(std::string etag) {
    const std::scoped_lock lock(mutex);
    waiting_for_next = std::move(etag);
  }
  static asio::awaitable<http::Response> answer(std::shared_ptr<Bundles> self,
                                                const http::Request& request);
  asio::awaitable<void> wait_for_change(int64_t seconds);
};

asio::awaitable<void> OpaArm::Bundles::wait_for_change(int64_t seconds) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(seconds));
  waiters.insert(&timer);
  const auto [woken] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  static_cast<void>(woken);
  waiters.erase(&timer);
}

asio::awaitable<http::Response> OpaArm::Bundles::answer(std::shared_ptr<Bundles> self,
                                                        const http::Request& request) {
  const std::string_view held = request.header("If-None-Match");
  Bundle bundle = self->get();
  if (const int64_t seconds = wait_of(request); seconds > 0 && held == bundle.etag) {
    self->set_waiting(bundle.etag);
    co_await self->wait_for_change(seconds);
    bundle = self->get();
  }
  http::Response response;
  response.content_type = kBundleType;
  if (held == bundle.etag) {
    response.status = 304;
    co_return response;
  }
  response.headers.emplace_back("ETag", bundle.etag);
  response.shared_body = bundle.content;
  co_return response;
}

OpaArm::~OpaArm() = default;

Result<std::vector<std::string>> OpaArm::words(const std::string& program,
                                               const OpaListeners& listeners) {
  NOTP_ASSIGN(port_, free_port());
  std::vector<std::string> words{program,       "run",
                                 "--server",    "--config-file",
                                 "opa.yaml",    "--skip-version-check",
                                 "--log-level", "error",
                                 "--addr",      fmt::format("http://127.0.0.1:{}", port_)};
  const auto add = [&words](std::initializer_list<std::string> more) {
    words.insert(words.end(), more);
  };
  if (!listeners.socket.empty()) add({"--addr", "unix://" + listeners.socket.string()});
  if (listeners.certificate.empty()) return words;
  NOTP_ASSIGN(tls_port_, free_port());
  add({"--addr", fmt::format("https://127.0.0.1:{}", tls_port_), "--authentication=tls",
       "--tls-cert-file", listeners.certificate.string(), "--tls-private-key-file",
       listeners.key.string(), "--tls-ca-cert-file", listeners.ca.string()});
  return words;
}

Result<std::unique_ptr<OpaArm>> OpaArm::start(CountingProxy& proxy,
                                              const std::filesystem::path& program,
                                              const std::filesystem::path& folder,
                                              const OpaListeners& listeners) {
  std::unique_ptr<OpaArm> arm(new OpaArm);
  arm->bundles_ = std::make_shared<Bundles>(proxy.context());
  arm->log_ = folder / "opa.log";
  NOTP_ASSIGN(arm->server_,
              http::Server::listen(proxy.context().get_executor(), http::TcpEndpoint{}, {},
                                   [bundles = arm->bundles_](const http::Request& request) {
                                     return Bundles::answer(bundles, request);
                                   }));
  NOTP_TRY(write_file(folder / "opa.yaml",
                      fmt::format("services: {{bench: {{url: 'http://127.0.0.1:{}'}}}}\n"
                                  "bundles: {{bench: {{service: bench, resource: bundle.tar.gz, "
                                  "polling: {{long_polling_timeout_seconds: {}}}}}}}\n",
                                  arm->server_->port(), kLongPollS)));
  // OPA long-polls only once it has received a bundle.
  NOTP_TRY(make_folders(folder / "empty"));
  NOTP_TRY(write_file(folder / "empty/.manifest", R"({"roots": ["notp_bench"]})"));
  NOTP_ASSIGN(model::Content empty, pack(folder / "empty"));
  arm->serve(std::move(empty));
  Command command;
  NOTP_ASSIGN(command.words, arm->words(program.string(), listeners));
  command.folder = folder;
  command.log = arm->log_;
  NOTP_ASSIGN(arm->process_, Child::start(command));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  for (;;) {
    http::Call call;
    call.url = fmt::format("http://127.0.0.1:{}/health", arm->port_);
    if (http::call_blocking(std::move(call))) break;
    if (arm->process_->poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kUnavailable, "OPA does not serve:\n" + log_tail(arm->log_));
    ::poll(nullptr, 0, kPollMs);
  }
  NOTP_TRY(arm->await_waiting());
  return arm;
}

Result<model::Content> OpaArm::pack(const std::filesystem::path& model) {
  Command command;
  command.words = {"tar", "-C", model.string(), "--exclude=.git", "-czf", "-", "."};
  NOTP_ASSIGN(std::string packed, run(command, kPackMs));
  return std::make_shared<const Bytes>(std::move(packed));
}

void OpaArm::serve(model::Content bundle) {
  {
    const std::scoped_lock lock(bundles_->mutex);
    bundles_->current = {bundle, '"' + sha256(*bundle).hex() + '"'};
  }
  asio::post(bundles_->io, [bundles = bundles_] {
    for (asio::steady_timer* timer : bundles->waiters) timer->cancel();
  });
}

Result<void> OpaArm::await_waiting() {
  const TimeMs deadline_ms = read_clock().boot_ms + kHoldsMs;
  for (;;) {
    {
      const std::scoped_lock lock(bundles_->mutex);
      if (bundles_->waiting_for_next == bundles_->current.etag) return {};
    }
    if (process_->poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout, "OPA does not ask for the next bundle:\n" + log_tail(log_));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<void> OpaArm::stop() { return process_->stop(kStopMs); }

Result<uint16_t> free_port() {
  asio::io_context io;
  boost::system::error_code failed;
  asio::ip::tcp::acceptor acceptor(io);
  acceptor.open(asio::ip::tcp::v4(), failed);
  if (!failed) acceptor.bind({asio::ip::address_v4::loopback(), 0}, failed);
  if (failed) return fail(ErrorCode::kIo, "no free port: " + failed.message());
  return acceptor.local_endpoint().port();
}

Result<std::filesystem::path> opa_program() {
  const char* program = std::getenv("NOTP_OPA");
  std::error_code failed;
  if (program == nullptr || !std::filesystem::exists(program, failed))
    return fail(ErrorCode::kUsage,
                "NOTP_OPA does not name OPA, the control of this suite: "
                "NOTP_OPA=$(tools/build-opa) builds it and says where");
  return std::filesystem::path(program);
}

}  // namespace notp::bench
