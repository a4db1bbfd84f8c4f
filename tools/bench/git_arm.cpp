#include "tools/bench/git_arm.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "common/storage/files.hpp"

namespace notp::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr TimeMs kGitMs = 1'200'000;
constexpr TimeMs kCloseMs = 30'000;

// Runs a program for each connection, on the connection, like inetd. A listening daemon cannot
// report which port the system gave it.
asio::awaitable<void> serve_each(tcp::acceptor acceptor, Command command) {
  std::list<Child> children;
  for (;;) {
    auto [failed, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    std::erase_if(children, [](Child& child) { return child.poll().has_value(); });
    const int descriptor = socket.native_handle();
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    if (auto child = Child::start(command, descriptor)) children.push_back(*std::move(child));
  }
}

}  // namespace

Result<std::unique_ptr<GitArm>> GitArm::start(CountingProxy& proxy,
                                              const std::filesystem::path& repository,
                                              const std::filesystem::path& folder, bool bitmaps) {
  std::unique_ptr<GitArm> arm(new GitArm(std::filesystem::absolute(repository), folder, bitmaps));
  NOTP_TRY(make_folders(folder / "server"));
  NOTP_TRY(
      run(git_command(folder, {"init", "-q", "--bare", "-b", "main", "server/model.git"}), kGitMs));
  boost::system::error_code failed;
  tcp::acceptor acceptor(proxy.context());
  acceptor.open(tcp::v4(), failed);
  if (!failed) acceptor.bind({asio::ip::address_v4::loopback(), 0}, failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed) return fail(ErrorCode::kIo, "the git arm cannot listen: " + failed.message());
  NOTP_ASSIGN(arm->route_, proxy.add_route(acceptor.local_endpoint().port(), /*is_tls=*/false));
  Command daemon = git_command(
      folder, {"daemon", "--inetd", "--export-all", "--log-destination=stderr",
               "--base-path=" + (folder / "server").string(), (folder / "server").string()});
  daemon.log = folder / "daemon.log";
  asio::co_spawn(proxy.context(), serve_each(std::move(acceptor), std::move(daemon)),
                 asio::detached);
  return arm;
}

Result<void> GitArm::serve(const TaggedCommit& commit) const {
  const auto server = folder_ / "server/model.git";
  NOTP_TRY(
      run(git_command(server, {"-c", "gc.auto=0", "fetch", "-q", "--no-tags", repository_.string(),
                               "+" + commit.commit + ":refs/heads/main"}),
          kGitMs));
  const std::string config = fmt::format("repack.writeBitmaps={}", bitmaps_);
  std::vector<std::string> repack{"-c", config, "repack", "-q", "-a", "-d"};
  if (bitmaps_) repack.push_back("-b");
  NOTP_TRY(run(git_command(server, std::move(repack)), kGitMs));
  return {};
}

Result<Traffic> GitArm::clone(const std::filesystem::path& folder) {
  NOTP_TRY(run(git_command(folder_, {"clone", "-q", "--bare", "--no-tags", url(), folder.string()}),
               kGitMs));
  NOTP_TRY(route_->wait_closed(kCloseMs));
  return route_->take();
}

std::string GitArm::url() const {
  return fmt::format("git://127.0.0.1:{}/model.git", route_->port());
}

Result<Traffic> GitArm::update(const TaggedCommit& commit) {
  NOTP_TRY(serve(commit));
  const auto client = folder_ / "client.git";
  Traffic traffic;
  if (!cloned_) {
    NOTP_ASSIGN(traffic, clone(client));
    cloned_ = true;
  } else {
    NOTP_TRY(run(git_command(client, {"-c", "gc.auto=0", "fetch", "-q", "--no-tags", url(),
                                      "main:refs/heads/main"}),
                 kGitMs));
    NOTP_TRY(route_->wait_closed(kCloseMs));
    traffic = route_->take();
  }
  NOTP_ASSIGN(std::string head, run(git_command(client, {"rev-parse", "refs/heads/main"}), kGitMs));
  if (!head.starts_with(commit.commit))
    return fail(ErrorCode::kInternal,
                fmt::format("git fetched {} instead of {}", head, commit.tag));
  return traffic;
}

}  // namespace notp::bench
