#include "tools/notp/setup/setup_files.hpp"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "protocol/trust/verify.hpp"
#include "tools/notp/init.hpp"
#include "tools/notp/root/key_files.hpp"
#include "tools/notp/root/root_commands.hpp"
#include "tools/notp/setup/setup_configurations.hpp"
#include "tools/pki/pki.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr int64_t kRootDays = 365;
constexpr int64_t kAuthorityDays = 3650;
constexpr int64_t kNodeAuthorityDays = 1825;
constexpr int64_t kCertificateDays = 365;
constexpr TimeMs kTokenMs = kDayMs;
constexpr size_t kCommonNameMax = 64;  // characters: RFC 5280, ub-common-name
constexpr size_t kDomainInName = kCommonNameMax - std::string_view(" development CA").size();

bool is_there(const fs::path& file) {
  std::error_code error;
  return fs::symlink_status(file, error).type() != fs::file_type::not_found;
}

// The owner of a certificate: a program, or the CA of nodes.
struct Holder {
  std::string stem;                   // "registry/registry": .key, .crt, .csr
  std::optional<session::Role> role;  // absent: the CA of nodes
};

class Maker {
 public:
  Maker(SetupPlan& plan, Now now) : plan_(plan), now_(now) {}

  Result<SetupOutcome> run();

 private:
  template <typename Body>
  std::invoke_result_t<Body> as_owner(std::string_view name, Body body) const;
  Result<void> make_folders();
  bool is_away(std::string_view name) const;
  Result<void> find_signing_key(const std::string& stem);
  Result<void> put(std::string_view name, ByteView content, bool is_private = false);
  Result<PublicKey> signing_key(const std::string& stem);
  Result<void> make_keys_and_root();
  Result<void> sign_root(const PublicKey& root, const PublicKey& publisher,
                         const PublicKey& freshness);
  Result<std::string> tls_key(const std::string& stem);
  Result<void> make_authority();
  pki::LeafOptions leaf(const Holder& holder) const;
  Result<void> make_certificate(const Holder& holder);
  Result<void> request_certificate(const Holder& holder, std::string_view key);
  Result<void> check_certificate(const Holder& holder) const;
  Result<void> copy_public_files();
  Result<void> make_model();
  Result<void> make_token();
  Result<std::string> new_token();
  Result<void> refresh_token_file(const fs::path& file);

  SetupPlan& plan_;
  const Now now_;
  std::set<std::string> away_;  // folders
  SetupOutcome out_;
};

const std::vector<Holder>& holders() {
  static const std::vector<Holder> all{{"registry/registry", session::Role::kRegistry},
                                       {"registry/node-ca", std::nullopt},
                                       {"publisher/publisher", session::Role::kPublisher},
                                       {"admin/admin", session::Role::kAdmin}};
  return all;
}

// The part of a service is written by its user, who could have put links there.
template <typename Body>
std::invoke_result_t<Body> Maker::as_owner(std::string_view name, Body body) const {
  if (!plan_.service || !name.starts_with("registry")) return body();
  return plan_.service->run(std::move(body));
}

Result<void> Maker::make_folders() {
  if (plan_.service) NOTP_TRY(plan_.service->own(plan_.file("registry")));
  for (const char* name : {"offline", "publisher", "admin", "models"})
    if (plan_.is_complete && !is_there(plan_.file(name))) away_.insert(name);
  for (const char* name :
       {"", "offline", "registry", "registry/data", "publisher", "admin", "models", "tokens"})
    if (!is_away(name))
      NOTP_TRY(as_owner(name, [&] {
        return make_private_folder(*name == '\0' ? plan_.folder : plan_.file(name));
      }));
  return {};
}

bool Maker::is_away(std::string_view name) const {
  return away_.contains(std::string(name.substr(0, name.find('/'))));
}

Result<void> Maker::put(std::string_view name, ByteView content, bool is_private) {
  const fs::path file = plan_.file(name);
  if (is_away(name)) return {};
  const bool there = is_there(file);
  if (!there)
    NOTP_TRY(as_owner(name, [&] { return write_file(file, content, is_private ? 0600 : 0644); }));
  out_.files.push_back({std::string(name), !there});
  return {};
}

// --- signing keys

// For a root that does not exist yet. A private key that was taken offline may be absent, as long
// as its public key is here.
Result<PublicKey> Maker::signing_key(const std::string& stem) {
  const std::string private_name = stem + ".key", public_name = stem + ".pub";
  if (is_there(plan_.file(private_name))) {
    NOTP_ASSIGN(const PrivateKey key, read_private_key(plan_.file(private_name)));
    out_.files.push_back({private_name, false});
    NOTP_TRY(put(public_name, key.public_key().to_pem()));
    return key.public_key();
  }
  if (is_there(plan_.file(public_name))) {
    out_.files.push_back({public_name, false});
    return read_public_key(plan_.file(public_name));
  }
  const PrivateKey key = PrivateKey::generate();
  NOTP_TRY(put(private_name, key.to_pem(), /*is_private=*/true));
  NOTP_TRY(put(public_name, key.public_key().to_pem()));
  return key.public_key();
}

Result<void> Maker::sign_root(const PublicKey& root_key, const PublicKey& publisher,
                              const PublicKey& freshness) {
  trust::Root root;
  root.trust_domain = plan_.trust_domain;
  root.version = root.epoch = 1;
  root.issued_ms = now_.wall_ms;
  root.expires_ms = now_.wall_ms + kRootDays * kDayMs;
  root.root_keys = {root_key};
  root.root_threshold = 1;
  root.delegations = {{.pattern = plan_.zone() + "/*", .keys = {publisher}, .threshold = 1}};
  root.freshness_keys = {freshness};
  NOTP_TRY(check_statement(root));
  auto signer = read_private_key(plan_.file("offline/root.key"));
  if (!signer)
    return std::unexpected(std::move(signer).error().with(
        "hint", "root.envelope is missing and needs the root key: bring it back for this run"));
  trust::Envelope envelope = trust::envelope_of(root);
  trust::sign_envelope(envelope, *signer);
  return put("root.envelope", envelope.encode());
}

// For an existing root.
Result<void> Maker::find_signing_key(const std::string& stem) {
  if (is_away(stem)) return {};
  for (const std::string& name : {stem + ".key", stem + ".pub"}) {
    if (is_there(plan_.file(name)))
      out_.files.push_back({name, false});
    else if (name.ends_with(".key") && !name.starts_with("offline/"))
      return std::unexpected(Error{
          ErrorCode::kNotFound,
          fmt::format("{} is missing, and the root is signed already: another key would not be "
                      "the one that it names",
                      plan_.file(name).string()),
          {}}.with("hint",
                   "bring it back; when it is lost, make another one with 'notp keygen', "
                   "and the next root with 'notp root add-key' and 'remove-key'"));
  }
  return {};
}

Result<void> Maker::make_keys_and_root() {
  const fs::path file = plan_.file("root.envelope");
  if (!is_there(file)) {
    NOTP_ASSIGN(const PublicKey root_key, signing_key("offline/root"));
    NOTP_ASSIGN(const PublicKey publisher, signing_key("publisher/signing"));
    NOTP_ASSIGN(const PublicKey freshness, signing_key("registry/freshness"));
    return sign_root(root_key, publisher, freshness);
  }
  for (const char* stem : {"offline/root", "publisher/signing", "registry/freshness"})
    NOTP_TRY(find_signing_key(stem));
  NOTP_ASSIGN(const Bytes envelope, read_file(file, limits::kEnvelopeBytesMax));
  if (const auto root = trust::verify_pinned_root(envelope, plan_.trust_domain); !root)
    return std::unexpected(Error(root.error()).in(file.string()));
  out_.files.push_back({"root.envelope", false});
  return {};
}

// --- certificates

Result<std::string> Maker::tls_key(const std::string& stem) {
  const std::string name = stem + ".key";
  if (is_there(plan_.file(name))) {
    out_.files.push_back({name, false});
    return read_file(plan_.file(name), limits::kPemBytesMax);
  }
  NOTP_ASSIGN(const std::string key, pki::make_key());
  NOTP_TRY(put(name, key, /*is_private=*/true));
  return key;
}

// Uses the layout of `notp pki issue`, so that certificates can be renewed with it.
Result<void> Maker::make_authority() {
  if (plan_.own_ca) {
    out_.wants_authority = !is_there(plan_.file("ca.crt"));
    return {};
  }
  if (is_there(plan_.file("ca.crt"))) {
    out_.files.push_back({"ca.crt", false});
    return {};
  }
  const fs::path certificate = plan_.file("offline/ca.crt");
  if (!is_there(certificate)) {
    NOTP_ASSIGN(const std::string key, tls_key("offline/ca"));
    // A common name is informative, and has 64 characters at most.
    NOTP_ASSIGN(const std::string made,
                pki::certify_authority(
                    fmt::format("{} development CA", plan_.trust_domain.substr(0, kDomainInName)),
                    pki::Validity::days(now_.wall_ms, kAuthorityDays), key));
    NOTP_TRY(put("offline/ca.crt", made));
  }
  NOTP_ASSIGN(const Bytes pem, read_file(certificate, limits::kPemBytesMax));
  NOTP_TRY(put("offline/trust-domain", plan_.trust_domain + "\n"));
  return put("ca.crt", pem);
}

pki::LeafOptions Maker::leaf(const Holder& holder) const {
  pki::LeafOptions leaf;
  leaf.validity =
      pki::Validity::days(now_.wall_ms, holder.role ? kCertificateDays : kNodeAuthorityDays);
  if (!holder.role) {
    leaf.common_name = fmt::format("{} node CA", plan_.trust_domain.substr(0, kDomainInName));
    leaf.is_ca = true;
    return leaf;
  }
  const session::Identity identity = plan_.identity(*holder.role);
  leaf.common_name = identity.name.substr(0, kCommonNameMax);
  leaf.uris = {identity.text()};
  leaf.server_auth = identity.role == session::Role::kRegistry;
  leaf.client_auth = identity.role != session::Role::kRegistry;
  return leaf;
}

Result<void> Maker::request_certificate(const Holder& holder, std::string_view key) {
  NOTP_ASSIGN(const std::string request, pki::request(leaf(holder), key));
  NOTP_TRY(put(holder.stem + ".csr", request));
  out_.wanted.push_back(
      {.request = holder.stem + ".csr",
       .certificate = holder.stem + ".crt",
       .identity = holder.role ? plan_.identity(*holder.role).text() : std::string(),
       .is_server = holder.role == session::Role::kRegistry});
  return {};
}

// Checks the certificate from the site's authority before programs use it.
Result<void> Maker::check_certificate(const Holder& holder) const {
  const transport::TlsFiles files{plan_.file(holder.stem + ".crt"),
                                  plan_.file(holder.stem + ".key"), plan_.file("ca.crt"),
                                  plan_.trust_domain};
  const std::string name = files.certificate.string();
  if (!holder.role) {
    const auto authority = enroll::NodeCa::open({.certificate = files.certificate,
                                                 .private_key = files.private_key,
                                                 .authorities = files.authorities,
                                                 .lifetime_ms = kDayMs});
    if (!authority) return std::unexpected(Error(authority.error()).in(name));
    return {};
  }
  const bool is_server = holder.role == session::Role::kRegistry;
  NOTP_ASSIGN(const auto context,
              transport::TlsContext::load(
                  files, is_server ? transport::Side::kServer : transport::Side::kClient));
  const auto& identity = context->identity();
  if (!identity) return std::unexpected(Error(identity.error()).in(name));
  if (*identity == plan_.identity(*holder.role)) return {};
  return fail(ErrorCode::kConfig,
              fmt::format("{} is for {}; asked for was {}", name, identity->text(),
                          plan_.identity(*holder.role).text()));
}

Result<void> Maker::make_certificate(const Holder& holder) {
  const std::string name = holder.stem + ".crt";
  if (is_away(name)) return {};
  NOTP_ASSIGN(const std::string key, tls_key(holder.stem));
  if (is_there(plan_.file(name))) {
    out_.files.push_back({name, false});
    // An authority's answer may have come as another user's file.
    if (const auto read =
            as_owner(name, [&] { return read_file(plan_.file(name), limits::kPemBytesMax); });
        !read)
      return std::unexpected(read.error());
    return is_there(plan_.file("ca.crt")) ? check_certificate(holder) : Result<void>();
  }
  if (plan_.own_ca) return request_certificate(holder, key);
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(plan_.file("ca.crt"), limits::kPemBytesMax));
  auto ca_key = read_file(plan_.file("offline/ca.key"), limits::kPemBytesMax);
  if (!ca_key)
    return std::unexpected(std::move(ca_key).error().with(
        "hint", fmt::format("{} is missing and needs the authority's key: bring it back for this "
                            "run",
                            name)));
  authority.key_pem = *std::move(ca_key);
  NOTP_ASSIGN(const std::string certificate, pki::certify(authority, leaf(holder), key));
  return put(name, certificate);
}

// --- the rest

// Each folder is complete, so that it can be moved to another machine.
Result<void> Maker::copy_public_files() {
  for (const char* name : {"root.envelope", "ca.crt"}) {
    if (!is_there(plan_.file(name))) continue;
    NOTP_ASSIGN(const Bytes content, read_file(plan_.file(name), limits::kEnvelopeBytesMax));
    for (const char* folder : {"registry", "publisher", "admin"})
      NOTP_TRY(put(fmt::format("{}/{}", folder, name), content));
  }
  return {};
}

Result<void> Maker::make_model() {
  const std::string name = "models/" + plan_.ledger.name;
  if (is_away(name)) return {};
  const bool there = is_there(plan_.file(name));
  if (!there) NOTP_TRY(write_minimal_model(plan_.file(name), plan_.ledger));
  out_.files.push_back({name, !there});
  return {};
}

// Makes a token in the registry's store as the registry does on request. No authorisation is
// needed: the user who runs setup still owns the store.
Result<std::string> Maker::new_token() {
  const transport::TlsFiles tls{plan_.file("registry/registry.crt"),
                                plan_.file("registry/registry.key"), plan_.file("registry/ca.crt"),
                                plan_.trust_domain};
  NOTP_ASSIGN(const auto listener, transport::TlsContext::enroll_listener(tls));
  NOTP_ASSIGN(const auto authority,
              enroll::NodeCa::open({.certificate = plan_.file("registry/node-ca.crt"),
                                    .private_key = plan_.file("registry/node-ca.key"),
                                    .authorities = tls.authorities,
                                    .lifetime_ms = kDayMs}));
  NOTP_ASSIGN(const auto tokens,
              enroll::JoinTokens::open(plan_.file("registry/data/join-tokens.db")));
  enroll::Enrollment enrollment(plan_.trust_domain, {.tokens = *tokens,
                                                     .authority = *authority,
                                                     .denied = nullptr,
                                                     .roots = [] { return std::vector<Bytes>(); }});
  enrollment.tell({.enroll = plan_.enroll_address(),
                   .registry = plan_.registry_address(),
                   .authority = listener->authority()});
  return enrollment.new_token({plan_.node, static_cast<uint64_t>(kTokenMs), /*replace=*/false},
                              plan_.identity(session::Role::kAdmin).text(), now_.wall_ms);
}

// The only existing file that is rewritten: an expired token is useless.
Result<void> Maker::refresh_token_file(const fs::path& file) {
  auto token = as_owner("registry", [&] { return new_token(); });
  if (!token) {
    out_.token_missing =
        token.error().code == ErrorCode::kConflict
            ? fmt::format("{} has joined already", plan_.node)
            : fmt::format("the registry makes it when it runs ({})", token.error().message);
    return {};
  }
  out_.token_expires_ms = now_.wall_ms + kTokenMs;
  plan_.tokens[plan_.node] = out_.token_expires_ms;
  NOTP_TRY(write_file(file, *token + "\n", 0600));
  NOTP_TRY(keep_setup_plan(plan_));
  out_.token = *std::move(token);
  return {};
}

Result<void> Maker::make_token() {
  const std::string name = fmt::format("tokens/{}.token", plan_.node);
  const fs::path file = plan_.file(name);
  const json::value* until = plan_.tokens.if_contains(plan_.node);
  const bool is_good =
      is_there(file) && until != nullptr && until->is_int64() && until->get_int64() > now_.wall_ms;
  if (!is_good) NOTP_TRY(refresh_token_file(file));
  if (is_good) {
    NOTP_ASSIGN(out_.token, read_file(file, limits::kEnvelopeBytesMax));
    while (out_.token.ends_with('\n')) out_.token.pop_back();
    out_.token_expires_ms = until->get_int64();
  }
  if (!out_.token.empty()) out_.files.push_back({name, !is_good});
  return {};
}

Result<SetupOutcome> Maker::run() {
  NOTP_TRY(make_folders());
  NOTP_TRY(keep_setup_plan(plan_));
  NOTP_TRY(make_keys_and_root());
  NOTP_TRY(make_authority());
  for (const Holder& holder : holders()) NOTP_TRY(make_certificate(holder));
  NOTP_TRY(copy_public_files());
  NOTP_TRY(put(kRegistryFile, registry_configuration(plan_)));
  NOTP_TRY(put("publisher/notp.yaml", publisher_configuration(plan_)));
  NOTP_TRY(put("admin/notp.yaml", admin_configuration(plan_)));
  NOTP_TRY(make_model());
  if (out_.wanted.empty() && !out_.wants_authority) {
    NOTP_TRY(make_token());
    plan_.is_complete = true;
    NOTP_TRY(keep_setup_plan(plan_));
  }
  return std::move(out_);
}

}  // namespace

Result<SetupOutcome> make_setup_files(SetupPlan& plan, Now now) { return Maker(plan, now).run(); }

}  // namespace notp::cli
