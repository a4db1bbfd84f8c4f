#include "tools/bench/bundle_arm.hpp"

#include <fmt/format.h>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kArchiveMs = 600'000, kGetMs = 120'000, kCloseMs = 30'000;
constexpr size_t kBundleBytesMax = 1 << 30;

}  // namespace

Result<std::unique_ptr<BundleArm>> BundleArm::start(CountingProxy& proxy,
                                                    const std::filesystem::path& repository,
                                                    const std::filesystem::path& folder) {
  std::unique_ptr<BundleArm> arm(new BundleArm(repository, folder / "bundle.tar.gz"));
  NOTP_ASSIGN(
      arm->server_,
      http::Server::listen(
          proxy.context().get_executor(), http::TcpEndpoint{}, {},
          [&bundle = arm->bundle_](const http::Request&) -> boost::asio::awaitable<http::Response> {
            http::Response response;
            response.content_type = "application/gzip";
            response.shared_body = bundle.get();
            co_return response;
          }));
  NOTP_ASSIGN(arm->route_, proxy.add_route(arm->server_->port(), /*is_tls=*/false));
  return arm;
}

Result<Traffic> BundleArm::update(const TaggedCommit& commit) {
  NOTP_TRY(run(git_command(repository_, {"archive", "--format=tar.gz", "-o",
                                         std::filesystem::absolute(file_).string(), commit.commit}),
               kArchiveMs));
  NOTP_ASSIGN(Bytes bundle, read_file(file_, kBundleBytesMax));
  const auto current = std::make_shared<const Bytes>(std::move(bundle));
  bundle_.set(current);
  http::Call call;
  call.url = fmt::format("http://127.0.0.1:{}/bundle.tar.gz", route_->port());
  call.deadline_ms = kGetMs;
  call.answer_bytes_max = kBundleBytesMax;
  NOTP_ASSIGN(const http::Response response, http::call_blocking(std::move(call)));
  if (response.status != 200 || response.content() != *current)
    return fail(ErrorCode::kInternal, "the bundle did not arrive as it was sent");
  NOTP_TRY(route_->wait_closed(kCloseMs));
  return route_->take();
}

}  // namespace notp::bench
