// notp pki: makes certificates for development, without a workload identity system.
#include <arpa/inet.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "protocol/model/spiffe_id.hpp"
#include "protocol/session/identity.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/root/key_files.hpp"
#include "tools/pki/pki.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDevelopmentOnly =
    "warning: for development only. The key of this authority lies unprotected in a file; in "
    "production let SPIRE or your own authority issue the certificates.";

struct PkiInitOptions {
  std::string folder;
  int64_t days = 365;
};

Result<int> run_pki_init(const Context& context, const PkiInitOptions& options) {
  NOTP_ASSIGN(const std::string domain, new_trust_domain(context));
  NOTP_ASSIGN(const pki::Credential authority,
              pki::make_authority(fmt::format("{} development CA", domain),
                                  pki::Validity::days(context.now.wall_ms, options.days)));
  const fs::path folder = options.folder;
  NOTP_TRY(write_new_files({{folder / "ca.key", authority.key_pem, true},
                            {folder / "ca.crt", authority.certificate_pem, false},
                            {folder / "trust-domain", domain + "\n", false}}));
  context.output.note(kDevelopmentOnly);
  context.output.result(fmt::format("An authority for {}\n{}", domain,
                                    facts({{"certificate", (folder / "ca.crt").string()},
                                           {"private key", (folder / "ca.key").string()}})),
                        json::object{{"trust_domain", domain},
                                     {"certificate", (folder / "ca.crt").string()},
                                     {"private_key", (folder / "ca.key").string()},
                                     {"development_only", true}});
  return exit_code::kOk;
}

struct PkiIssueOptions {
  std::string folder;
  std::string node, publisher, admin, registry, source, workload;
  std::vector<std::string> dns_names, addresses;  // beside the identity
  int64_t days = 90;
};

// Whose certificate it is: one of the roles of NOTP, or any other SPIFFE id of the domain.
struct WantedLeaf {
  std::string name, identity;
  bool server_auth = false, client_auth = true;
};

Result<WantedLeaf> wanted_workload(const PkiIssueOptions& options, const std::string& domain) {
  auto id = model::SpiffeId::parse(fmt::format("spiffe://{}/{}", domain, options.workload));
  if (!id) return fail(ErrorCode::kUsage, id.error().message);
  // One that others connect to by name or address is a server, too.
  return WantedLeaf{.name = options.workload.substr(options.workload.rfind('/') + 1),
                    .identity = id->text(),
                    .server_auth = !options.dns_names.empty() || !options.addresses.empty()};
}

Result<session::Identity> wanted_identity(const PkiIssueOptions& options, std::string domain) {
  session::Identity identity;
  identity.trust_domain = std::move(domain);
  for (const auto& [role, name] : {std::pair{session::Role::kNode, options.node},
                                   {session::Role::kPublisher, options.publisher},
                                   {session::Role::kAdmin, options.admin},
                                   {session::Role::kRegistry, options.registry},
                                   {session::Role::kSource, options.source}}) {
    if (name.empty()) continue;
    identity.role = role;
    identity.name = name;
  }
  auto checked = session::Identity::parse(identity.text());
  if (!checked) return fail(ErrorCode::kUsage, checked.error().message);
  return checked;
}

Result<WantedLeaf> wanted_leaf(const PkiIssueOptions& options, const std::string& domain) {
  if (!options.workload.empty()) return wanted_workload(options, domain);
  NOTP_ASSIGN(const session::Identity identity, wanted_identity(options, domain));
  const bool is_registry = identity.role == session::Role::kRegistry;
  return WantedLeaf{identity.name, identity.text(), is_registry, !is_registry};
}

// The trust domain of the folder's authority; --trust-domain must not contradict it.
Result<std::string> domain_of(const fs::path& folder) {
  auto text = read_file(folder / "trust-domain", limits::kNameBytesMax + 1);
  if (!text)
    return std::unexpected(std::move(text).error().with(
        "hint", fmt::format("is {} a folder made by 'notp pki init'?", folder.string())));
  while (text->ends_with('\n')) text->pop_back();
  NOTP_TRY(model::check_trust_domain(*text));
  return *text;
}

Result<int> run_pki_issue(const Context& context, const PkiIssueOptions& options) {
  const fs::path folder = options.folder;
  NOTP_ASSIGN(const std::string domain, domain_of(folder));
  NOTP_ASSIGN(const WantedLeaf wanted, wanted_leaf(options, domain));
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(folder / "ca.crt", limits::kPemBytesMax));
  NOTP_ASSIGN(authority.key_pem, read_file(folder / "ca.key", limits::kPemBytesMax));
  pki::LeafOptions leaf;
  leaf.common_name = wanted.name;
  leaf.uris = {wanted.identity};
  leaf.dns_names = options.dns_names;
  leaf.addresses = options.addresses;
  leaf.validity = pki::Validity::days(context.now.wall_ms, options.days);
  leaf.server_auth = wanted.server_auth;
  leaf.client_auth = wanted.client_auth;
  NOTP_ASSIGN(const pki::Credential issued, pki::issue(authority, leaf));
  const fs::path certificate = folder / (wanted.name + ".crt"),
                 key = folder / (wanted.name + ".key");
  NOTP_TRY(
      write_new_files({{key, issued.key_pem, true}, {certificate, issued.certificate_pem, false}}));
  context.output.note(kDevelopmentOnly);
  context.output.result(fmt::format("A certificate for {}\n{}", wanted.identity,
                                    facts({{"certificate", certificate.string()},
                                           {"private key", key.string()},
                                           {"expires", utc_time(leaf.validity.not_after_ms)}})),
                        json::object{{"identity", wanted.identity},
                                     {"certificate", certificate.string()},
                                     {"private_key", key.string()},
                                     {"expires", utc_time(leaf.validity.not_after_ms)},
                                     {"development_only", true}});
  return exit_code::kOk;
}

void declare_issue(CLI::App& command, PkiIssueOptions& options) {
  command.add_option("folder", options.folder, "Folder made by 'notp pki init'")
      ->type_name("DIR")
      ->required();
  CLI::Option_group* who = command.add_option_group("Identity", "Who the certificate is for");
  who->add_option("--node", options.node, "An agent")->type_name("NAME");
  who->add_option("--publisher", options.publisher, "A publisher")->type_name("NAME");
  who->add_option("--admin", options.admin, "An administrator")->type_name("NAME");
  who->add_option("--registry", options.registry, "A registry")->type_name("NAME");
  who->add_option("--source", options.source, "A source of token lanes")->type_name("NAME");
  who->add_option("--workload", options.workload,
                  "Another workload, by the path of its SPIFFE id, as in workload/shop")
      ->type_name("PATH");
  who->require_option(1);
  command
      .add_option("--dns", options.dns_names,
                  "A name by which HTTPS clients reach it, as sources of token lanes do")
      ->type_name("NAME");
  command.add_option("--address", options.addresses, "The same, a numeric address")
      ->type_name("IP")
      ->check([](const std::string& text) {
        in6_addr unused;
        const bool is_good = ::inet_pton(AF_INET, text.c_str(), &unused) == 1 ||
                             ::inet_pton(AF_INET6, text.c_str(), &unused) == 1;
        return is_good ? std::string() : fmt::format("{} is not a numeric address", text);
      });
  command.add_option("--days", options.days, "How long it is valid")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
}

}  // namespace

void add_pki(Commands& commands) {
  CLI::App* pki = commands.root().add_subcommand(
      "pki", "Make certificates for development: an authority, then one for each program");
  pki->require_subcommand(1);
  commands.add<PkiInitOptions>(
      *pki, "init", "Make a development authority (--trust-domain)",
      [](CLI::App& command, PkiInitOptions& options) {
        command.add_option("folder", options.folder, "Where to write ca.crt and ca.key")
            ->type_name("DIR")
            ->required();
        command.add_option("--days", options.days, "How long it is valid")
            ->check(CLI::Range(1, 36500))
            ->capture_default_str();
      },
      run_pki_init);
  commands.add<PkiIssueOptions>(*pki, "issue", "Issue NAME.crt and NAME.key", declare_issue,
                                run_pki_issue);
}

}  // namespace notp::cli
