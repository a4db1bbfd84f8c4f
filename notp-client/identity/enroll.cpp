#include "notp-client/identity/enroll.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "common/assert.hpp"
#include "common/crypto/certificate.hpp"
#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "notp-client/identity/identity_files.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/join_token.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::identity {

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

constexpr TimeMs kJoinMs = 30'000;
constexpr const char* kIdentityFile = "node.pem";

struct Reply {
  wire::Joined joined;
  std::string registry;       // "registry/<name>" of the server that answered
  Bytes root;                 // verified
  transport::TlsTexts texts;  // verified
  std::string identity;
};

Result<wire::Joined> joined_of(Result<wire::Message> message) {
  if (!message) return std::unexpected(std::move(message).error());
  if (auto* joined = std::get_if<wire::Joined>(&*message)) return std::move(*joined);
  if (const auto* error = std::get_if<wire::ErrorMessage>(&*message))
    return fail(error->code, error->message);
  return fail(ErrorCode::kState, "the registry answered with another message than expected");
}

// Verifies everything that a person would check before trusting the files.
Result<void> check(Reply& reply, transport::Connection& connection,
                   const transport::TlsFiles& files, const std::string& key_pem) {
  reply.registry = fmt::format("registry/{}", connection.peer_identity().name);
  reply.root = reply.joined.root_chain.front();
  NOTP_TRY(trust::verify_pinned_root(reply.root, files.trust_domain));
  NOTP_ASSIGN(reply.texts, identity_texts(files, key_pem, reply.joined.certificate));
  NOTP_ASSIGN(const auto context,
              transport::TlsContext::make(reply.texts, transport::Side::kClient));
  const auto& identity = context->identity();
  if (!identity) return std::unexpected(identity.error());
  if (identity->role != session::Role::kNode || identity->trust_domain != files.trust_domain)
    return fail(ErrorCode::kIdentity, "the registry gave the identity " + identity->text());
  // The node must also trust this registry with the new files.
  NOTP_TRY(connection.verify_peer_again(*context));
  reply.identity = identity->text();
  return {};
}

asio::awaitable<Result<Reply>> converse(std::string address, const http::ProxyRoute& route,
                                        std::shared_ptr<const transport::TlsContext> tls,
                                        wire::Join join, const transport::TlsFiles& files,
                                        const std::string& key_pem) {
  auto connection = co_await transport::connect(address, std::move(tls), kJoinMs, route.proxy);
  if (!connection) co_return std::unexpected(std::move(connection).error());
  const auto frame = wire::try_encode_frame(join);
  if (!frame) co_return std::unexpected(frame.error());
  auto written = co_await (*connection)->write_within(*frame, kJoinMs);
  if (!written) co_return std::unexpected(std::move(written).error());
  auto joined = joined_of(co_await (*connection)->read_message(limits::kFrameBytesMax, kJoinMs));
  Result<void> checked;
  Reply reply;
  if (joined) {
    reply.joined = *std::move(joined);
    checked = check(reply, **connection, files, key_pem);
  } else {
    checked = std::unexpected(std::move(joined).error());
  }
  co_await (*connection)->close(limits::kCloseMs);
  if (!checked) co_return std::unexpected(std::move(checked).error());
  co_return reply;
}

Result<Reply> run(std::string address, const http::ProxyRoute& route,
                  std::shared_ptr<const transport::TlsContext> tls, wire::Join join,
                  const transport::TlsFiles& files, const std::string& key_pem) {
  asio::io_context io{1};
  Result<Reply> out = fail(ErrorCode::kInternal, "the join did not run");
  asio::co_spawn(
      io, converse(std::move(address), route, std::move(tls), std::move(join), files, key_pem),
      [&out](std::exception_ptr thrown, Result<Reply> reply) {
        NOTP_ASSERT(!thrown, "an exception left a coroutine");
        out = std::move(reply);
      });
  io.run();
  return out;
}

// YAML whose strings are JSON strings, which are valid double-quoted YAML.
std::string config_text(const EnrollOptions& options, const transport::JoinToken& token,
                        const transport::TlsFiles& files, const fs::path& folder,
                        const Reply& reply) {
  std::string ledgers;
  for (const model::LedgerId& ledger : options.ledgers)
    ledgers += "\n  - " + json_string(ledger.text());
  if (ledgers.empty())
    ledgers = " []  # name what this node decides with, as in [100000000000/payments]";
  std::string proxy;
  if (!options.proxy.url.empty())
    proxy = fmt::format("proxy: {}\n", json_string(options.proxy.url));
  std::error_code ignored;
  if (const fs::path& file = options.proxy.password_file; !file.empty())
    proxy +=
        fmt::format("proxy_password_file: {}\n", json_string(fs::absolute(file, ignored).string()));
  return fmt::format(
      "# The agent of {}.\n"
      "trust_domain: {}\nregistry: {}\nregistry_identity: {}\n{}data_dir: {}\nroot: {}\n"
      "tls:\n  certificate: {}\n  key: {}\n  ca: {}\n  renew: true\n"
      "ledgers:{}\n",
      reply.identity, json_string(token.trust_domain),
      json_string(options.registry.empty() ? token.registry : options.registry),
      json_string(reply.registry), proxy, json_string((folder / "store").string()),
      json_string((folder / "root.envelope").string()), json_string(files.certificate.string()),
      json_string(files.private_key.string()), json_string(files.authorities.string()), ledgers);
}

// The key of a join that has no answer yet. With it the same token can be presented again: the
// registry may have used it up for this very key.
fs::path key_file_of(const fs::path& folder, const transport::JoinToken& token) {
  return folder / fmt::format("join-{}.key", sha256(token.secret).hex().substr(0, 16));
}

Result<KeyAndRequest> request_with(const fs::path& key_file) {
  if (auto kept = read_file(key_file, limits::kPemBytesMax)) {
    auto request = make_certificate_request(*std::move(kept));
    if (request) return request;
  }
  NOTP_ASSIGN(KeyAndRequest made, make_certificate_request());
  NOTP_TRY(write_file(key_file, made.key_pem, 0600));
  return made;
}

bool is_there(const fs::path& file) {
  std::error_code error;
  return fs::symlink_status(file, error).type() != fs::file_type::not_found;
}

}  // namespace

fs::path config_file_of(const fs::path& folder) { return folder / "client.yaml"; }

bool is_joined(const fs::path& folder) {
  return is_there(folder / kIdentityFile) && is_there(config_file_of(folder));
}

Result<Enrolled> enroll(const EnrollOptions& options) {
  NOTP_ASSIGN(const transport::JoinToken token, transport::JoinToken::decode(options.token));
  const std::string address = options.address.empty() ? token.address : options.address;
  NOTP_ASSIGN(const HostPort target, HostPort::parse(address));
  NOTP_ASSIGN(const http::ProxyRoute route,
              http::choose_proxy(options.proxy, options.environment, target));
  std::error_code error;
  const fs::path folder = fs::absolute(options.folder, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", options.folder.string(), error.message()));
  const transport::TlsFiles files{folder / kIdentityFile, folder / kIdentityFile, folder / "ca.crt",
                                  token.trust_domain};
  if (is_there(files.certificate) && !options.replace)
    return fail(ErrorCode::kConflict,
                fmt::format("{} is there already: this node has an identity; --force replaces it",
                            files.certificate.string()));
  NOTP_TRY(make_folders(folder));
  NOTP_ASSIGN(auto tls, transport::TlsContext::enroll_caller(token.authority, token.trust_domain));
  const fs::path key_file = key_file_of(folder, token);
  NOTP_ASSIGN(const KeyAndRequest made, request_with(key_file));
  const auto replied = run(address, route, std::move(tls), wire::Join{token.proof(), made.request},
                           files, made.key_pem);
  if (!replied && replied.error().code == ErrorCode::kJoinRefused) fs::remove(key_file, error);
  NOTP_ASSIGN(const Reply reply, replied);
  Enrolled out{.identity = reply.identity, .config = config_file_of(folder), .route = route};
  NOTP_TRY(write_file(folder / "root.envelope", reply.root));
  if (!is_there(out.config)) {
    NOTP_TRY(write_file(out.config, config_text(options, token, files, folder, reply)));
    out.config_written = true;
  }
  NOTP_TRY(write_identity(files, reply.texts));
  fs::remove(key_file, error);
  return out;
}

}  // namespace notp::identity
