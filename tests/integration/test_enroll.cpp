// Nodes join over real TLS: valid ones, and invalid ones of all kinds.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>
#include <latch>
#include <thread>

#include "common/crypto/certificate.hpp"
#include "notp-client/identity/enroll.hpp"
#include "notp-server/enroll/enroll_listener.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/registry/enrollment_fixture.hpp"
#include "tests/support/wire/raw_tls_client.hpp"

using namespace notp;

namespace {

// A registry's enrolment at a real port, in its own thread.
class OpenOffice : public Office {
 public:
  explicit OpenOffice(size_t failures_max = 1000) : workers_(kWorkers) {
    listener_ = must(enroll::EnrollListener::open(
        io_.get_executor(),
        {.listen = "127.0.0.1:0", .tls = pki.registry(), .failures_max = failures_max}, *enrollment,
        workers_));
    address_ = listener_->address();
    enrollment->tell({address_, "127.0.0.1:2", listener_->authority()});
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~OpenOffice() {
    boost::asio::post(io_, [this] { listener_->stop(); });
    thread_.join();
  }

  // Holds joins until they are released.
  void hold_workers() {
    for (int i = 0; i < kWorkers; ++i) {
      must(workers_.enter());
      boost::asio::post(workers_.executor(), [this] {
        held_.wait();
        workers_.leave();
      });
    }
  }
  void release_workers() { held_.count_down(); }
  // Waits until this many joins wait for a worker.
  void await_work(size_t joins) {
    while (workers_.depth() < kWorkers + joins) std::this_thread::yield();
  }

  uint16_t port() const { return must(HostPort::parse(address_)).port; }
  // A token as the CLI prints it.
  std::string text(const std::string& node, bool replace = false) {
    return must(enrollment->new_token({node, 600'000, replace}, test_uri("admin", "eve"),
                                      TestPki::wall_ms()));
  }
  std::filesystem::path home(const std::string& name) const { return folder.path() / name; }

 private:
  static constexpr int kWorkers = 2;

  std::latch held_{1};
  transport::OffloadPool workers_;
  boost::asio::io_context io_{1};
  std::unique_ptr<enroll::EnrollListener> listener_;
  std::string address_;
  std::jthread thread_;
};

ErrorCode code_of(const Result<identity::Enrolled>& result) {
  return result ? ErrorCode{} : result.error().code;
}

// The code of the only frame in `heard`; none when there is no Error.
ErrorCode code_in(const Bytes& heard) {
  wire::FrameParser parser;
  parser.feed(heard);
  const auto message = parser.next();
  if (!message || !*message) return ErrorCode{};
  const auto* error = std::get_if<wire::ErrorMessage>(&**message);
  return error == nullptr ? ErrorCode{} : error->code;
}

}  // namespace

TEST_CASE("a node joins and has all that it needs") {
  OpenOffice office;
  const auto home = office.home("edge-1");
  const auto enrolled = must(identity::enroll(
      {.token = office.text("edge-1"), .folder = home, .ledgers = {samples::kLedger}}));
  CHECK(enrolled.identity == test_uri("node", "edge-1"));
  CHECK(enrolled.config_written);
  const transport::TlsFiles files{home / "node.pem", home / "node.pem", home / "ca.crt",
                                  std::string(kTestDomain)};
  const auto context = must(transport::TlsContext::load(files, transport::Side::kClient));
  CHECK(context->identity()->text() == enrolled.identity);
  struct stat status{};
  REQUIRE(::stat(files.certificate.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(must(read_file(home / "root.envelope", limits::kEnvelopeBytesMax)) == sample_root());
  const Bytes config = must(read_file(enrolled.config, limits::kConfigBytesMax));
  for (const std::string_view line :
       {"registry: \"127.0.0.1:2\"", "registry_identity: \"registry/main\"", "renew: true",
        "273165098782/payments"})
    CHECK_MESSAGE(config.contains(line), config);
  CHECK(office.enrollment->joined_total() == 1);
}

TEST_CASE("an identity that is there is not replaced unless that is asked for") {
  OpenOffice office;
  const auto home = office.home("edge-1");
  must(identity::enroll({.token = office.text("edge-1"), .folder = home}));
  must(write_file(home / "client.yaml", "mine"));
  const Bytes before = must(read_file(home / "node.pem", limits::kPemBytesMax));
  const std::string token = office.text("edge-1", true);
  CHECK(code_of(identity::enroll({.token = token, .folder = home})) == ErrorCode::kConflict);
  CHECK(must(read_file(home / "node.pem", limits::kPemBytesMax)) == before);

  // The token was not used up by that.
  const auto again = must(identity::enroll({.token = token, .folder = home, .replace = true}));
  CHECK_FALSE(again.config_written);
  CHECK(must(read_file(home / "client.yaml", limits::kConfigBytesMax)) == "mine");
  CHECK(must(read_file(home / "node.pem", limits::kPemBytesMax)) != before);
}

TEST_CASE("a node whose answer was lost joins again with the same token, and with its key") {
  OpenOffice office;
  const auto home = office.home("edge-1");
  const std::string token = office.text("edge-1");
  // It sent Join, and the machine went down before the answer.
  must(make_folders(home));
  const std::string secret = must(transport::JoinToken::decode(token)).secret;
  const KeyAndRequest made = must(make_certificate_request());
  const auto key_file = home / fmt::format("join-{}.key", sha256(secret).hex().substr(0, 16));
  must(write_file(key_file, made.key_pem, 0600));
  must(office.enrollment->join({must(transport::JoinToken::decode(token)).proof(), made.request},
                               TestPki::wall_ms()));

  CHECK(code_of(identity::enroll({.token = token, .folder = office.home("thief")})) ==
        ErrorCode::kJoinRefused);
  CHECK(must(identity::enroll({.token = token, .folder = home})).identity ==
        test_uri("node", "edge-1"));
  CHECK(must(read_file(home / "node.pem", limits::kPemBytesMax)).contains(made.key_pem));
  CHECK(office.enrollment->joined_total() == 1);
  CHECK_FALSE(std::filesystem::exists(key_file));
  for (const char* folder : {"thief", "edge-1"})
    for (const auto& file : std::filesystem::directory_iterator(office.home(folder)))
      CHECK_FALSE(file.path().filename().string().starts_with("join-"));
}

TEST_CASE("tokens that are no good, or lead elsewhere, leave nothing behind") {
  OpenOffice office;
  TestPki other;
  const std::string used = office.text("edge-1");
  must(identity::enroll({.token = used, .folder = office.home("first")}));
  const auto refused = [&](const std::string& token) {
    const auto result = identity::enroll({.token = token, .folder = office.home("refused")});
    CHECK_FALSE(std::filesystem::exists(office.home("refused") / "node.pem"));
    CHECK_FALSE(std::filesystem::exists(office.home("refused") / "client.yaml"));
    return code_of(result);
  };
  CHECK(refused(used) == ErrorCode::kJoinRefused);
  CHECK(refused("notp-join-1.AAAA") == ErrorCode::kUsage);
  transport::JoinToken token = must(transport::JoinToken::decode(office.text("edge-2")));
  transport::JoinToken bent = token;
  bent.secret[0] = static_cast<char>(bent.secret[0] ^ 1);
  CHECK(refused(bent.encode()) == ErrorCode::kJoinRefused);
  bent = token;
  bent.authority = must(transport::TlsContext::enroll_listener(other.registry()))->authority();
  CHECK(refused(bent.encode()) == ErrorCode::kCertificateUntrusted);
  bent = token;
  bent.trust_domain = "other.internal";
  CHECK(refused(bent.encode()) == ErrorCode::kIdentity);
  must(office.denied.update(deny_release(1, deny_document({"edge-2"}))));
  CHECK(refused(token.encode()) == ErrorCode::kRevoked);
}

TEST_CASE("what is no Join gets a code and nothing else") {
  OpenOffice office;
  const std::string token = office.text("edge-1");
  const std::string proof = must(transport::JoinToken::decode(token)).proof();
  const Bytes good = wire::encode_frame(wire::Join{proof, office.request});
  struct Row {
    const char* name;
    RawTlsClient client;
    ErrorCode code;  // none: TLS itself refused
  };
  const RawTlsClient caller{.protocol = "notp-enroll/1"};
  const auto says = [&](Bytes bytes) {
    RawTlsClient out = caller;
    out.says = std::move(bytes);
    return out;
  };
  Bytes oversized = good;
  oversized[1] = '\xff';  // a length of two MiB
  oversized.insert(2, "\xff\x7f");
  const Row rows[] = {
      {"no ALPN", {.alpn = false}, ErrorCode::kTls},
      {"the session's ALPN", {.protocol = "notp/1"}, ErrorCode{}},
      {"TLS 1.2", {.version = TLS1_2_VERSION, .protocol = "notp-enroll/1"}, ErrorCode{}},
      {"an unknown token", says(wire::encode_frame(wire::Join{"00", office.request})),
       ErrorCode::kJoinRefused},
      {"no request", says(wire::encode_frame(wire::Join{proof, "x"})), ErrorCode::kMessage},
      {"a Hello", says(wire::encode_frame(wire::Hello{.versions = {1}, .user_agent = "x"})),
       ErrorCode::kState},
      {"a Ping", says(wire::encode_frame(wire::Ping{1})), ErrorCode::kState},
      {"garbage", says("GET / HTTP/1.1\r\n\r\n"), ErrorCode::kFrame},
      {"a frame past the limit", says(oversized), ErrorCode::kFrame},
      {"more bytes than a Join has", says(Bytes("\x14\xff\xff\x03", 4) + Bytes(40'000, 'x')),
       ErrorCode::kLimit},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(code_in(row.client.run(office.port())) == row.code);
  }
  CHECK(office.enrollment->joined_total() == 0);
  // None of them used up the token.
  must(identity::enroll({.token = token, .folder = office.home("edge-1")}));
}

// A connection that sends nothing.
class Silence {
 public:
  explicit Silence(uint16_t port) : socket_(io_) {
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  // Waits until the listener closes it.
  void await_end() {
    char byte = 0;
    boost::system::error_code error;
    socket_.read_some(boost::asio::buffer(&byte, 1), error);
    CHECK(error);
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
};

TEST_CASE("connections that end without a Join, as health checks do, block nobody") {
  OpenOffice office(1);
  for (int i = 0; i < 20; ++i) Silence(office.port());
  must(identity::enroll({.token = office.text("edge-1"), .folder = office.home("edge-1")}));
}

TEST_CASE("silent connections give their places to newer ones, the oldest first") {
  OpenOffice office(1);
  std::vector<std::unique_ptr<Silence>> silent;
  for (size_t i = 0; i < limits::kJoinsMax; ++i)
    silent.push_back(std::make_unique<Silence>(office.port()));
  must(identity::enroll({.token = office.text("edge-1"), .folder = office.home("edge-1")}));
  silent.front()->await_end();
}

TEST_CASE("where all places are taken by nodes that join, one more is told OVERLOADED") {
  OpenOffice office;
  office.hold_workers();
  const RawTlsClient caller{.protocol = "notp-enroll/1",
                            .says = wire::encode_frame(wire::Join{"00", office.request})};
  std::vector<std::jthread> joining;
  std::atomic<size_t> refused = 0;
  for (size_t i = 0; i < limits::kJoinsMax; ++i) {
    joining.emplace_back([&] {
      if (code_in(caller.run(office.port())) == ErrorCode::kJoinRefused) ++refused;
    });
    office.await_work(i + 1);
  }
  CHECK(code_in(caller.run(office.port())) == ErrorCode::kOverloaded);
  office.release_workers();
  joining.clear();
  CHECK(refused == limits::kJoinsMax);
}

TEST_CASE("an address that fails too often is not spoken to") {
  OpenOffice office(3);
  const RawTlsClient caller{.protocol = "notp-enroll/1",
                            .says = wire::encode_frame(wire::Join{"00", office.request})};
  for (int i = 0; i < 3; ++i) CHECK(code_in(caller.run(office.port())) == ErrorCode::kJoinRefused);
  CHECK(caller.run(office.port()).empty());
  CHECK(code_of(identity::enroll({.token = office.text("edge-1"),
                                  .folder = office.home("edge-1")})) == ErrorCode::kUnavailable);
}
