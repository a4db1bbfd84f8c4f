#include "notp-server/service/service.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/log.hpp"
#include "protocol/serve/peer_error.hpp"

namespace notp::service {

namespace asio = boost::asio;

namespace {

void log_publish(const std::string& identity, const model::LedgerId& ledger,
                 const wire::PublishResult& result) {
  log::write(result.code == 0 ? log::Level::kInfo : log::Level::kWarn,
             result.code != 0        ? "publish_refused"
             : result.threshold != 0 ? "publish_waits"
                                     : "published",
             {{"identity", identity},
              {"ledger", ledger.text()},
              {"version", result.version},
              {"release", result.release_hash.brief()},
              {"commit", result.commit},
              {"code", serve::code_name(result.code)},
              {"message", result.message}});
}

// Logs an internal error of the registry; the peer gets only its code.
void hide_own_matter(const serve::Peer& peer, uint32_t code, std::string& message) {
  const ErrorCode known = error_code_from_wire(code);
  if (code == 0 || !serve::is_own_matter(known)) return;
  log::write(log::Level::kError, "query_failed", Error{known, message, {}},
             {{"identity", peer.name}});
  message = serve::peer_message(known, std::move(message), "");
}

const Tracer& tracer_of(const ServiceParts& parts) {
  static const Tracer kNone;
  return parts.tracer == nullptr ? kNone : *parts.tracer;
}

// Goes on with the publisher's trace, if there is one.
Span begin_publish(const Tracer& tracer, const wire::Publish& publish) {
  Span span = publish.trace ? tracer.begin("publish", SpanKind::kServer, *publish.trace)
                            : tracer.begin("publish", SpanKind::kServer);
  span.set("notp.ledger", publish.ledger.text());
  span.set("notp.version", publish.version);
  span.set("notp.bytes", publish.size);
  return span;
}

}  // namespace

Service::Service(ServiceParts parts, ServiceOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      pipeline_(
          parts_.registry, parts_.pending, [&roots = parts_.roots] { return roots.current(); },
          parts_.rights, parts_.engine, options_.builtins, parts_.denied,
          [&fleet = parts_.fleet](const model::LedgerId& a, const model::LedgerId& b) {
            return fleet.subscribed_together(a, b);
          },
          [&recovery = parts_.recovery](const model::LedgerId& ledger) {
            return recovery.may_publish(ledger);
          }),
      work_(parts_.pools, options_.workers, options_.validations_at_once),
      releases_(parts_.registry),
      artifacts_(releases_, parts_.artifacts, work_.artifacts,
                 [this](const model::LedgerId& ledger, uint64_t version, const Hash& release,
                        const delta::HeldReleasePtr& base) {
                   return pipeline_.pending_artifact(ledger, version, release, base);
                 }),
      catalog_(parts_.registry, parts_.roots, pipeline_),
      requests_({.registry = parts_.registry,
                 .pipeline = pipeline_,
                 .fleet = parts_.fleet,
                 .roots = parts_.roots,
                 .freshness = parts_.freshness,
                 .recovery = parts_.recovery,
                 .rights = parts_.rights,
                 .enrollment = parts_.enrollment,
                 .audit = parts_.audit,
                 .tree = parts_.tree,
                 .erasure = parts_.erasure,
                 .sources = parts_.sources,
                 .lanes = parts_.lanes,
                 .totals = [this] { return totals(); },
                 .facts = options_.facts}),
      peers_({.rights = parts_.rights,
              .fleet = parts_.fleet,
              .recovery = parts_.recovery,
              .orders = work_.orders,
              .denied = parts_.denied,
              .enrollment = parts_.enrollment,
              .release_held =
                  [this](const std::string& node, const wire::ReleaseHeld& release) {
                    server_.release_held(node, release);
                  }}),
      traces_(tracer_of(parts_)),
      server_({.catalog = catalog_,
               .targets = catalog_,
               .freshness = &parts_.freshness,
               .uploads = &parts_.uploads,
               .info = parts_.info,
               .tls = parts_.tls,
               .artifacts = artifacts_,
               .peers = peers_,
               .observer = peers_,
               .requests = *this,
               .logs = parts_.logs,
               .recovery = &parts_.recovery,
               .traces = tracer_of(parts_).is_on() ? &traces_ : nullptr,
               .sources = parts_.sources,
               .lanes = parts_.lanes},
              options_.serve) {
  parts_.fleet.measure();
}

Service::~Service() { stop(); }

Result<std::string> Service::start() {
  parts_.recovery.start(server_, {.known_nodes = [this] { return known_nodes(); },
                                  .new_head =
                                      [this](const model::LedgerId& ledger) {
                                        take_in(ledger);
                                        announce(ledger);
                                      },
                                  .roots_changed = [this] { roots_changed(); },
                                  .freshness_due = [this] { freshness_due(); }});
  if (parts_.sources != nullptr)
    parts_.sources->start(
        {.publish =
             [this](publish::PublishAttempt attempt) { return publish_here(std::move(attempt)); },
         .statuses_changed = [this] { server_.sources_changed(); }});
  if (parts_.lanes != nullptr) parts_.lanes->start(server_);
  return server_.start();
}

Result<std::vector<std::string>> Service::known_nodes() const {
  std::vector<std::string> out;
  std::string after;
  for (bool more = true; more;) {
    NOTP_ASSIGN(const fleet::Fleet::Page page, parts_.fleet.list(after, limits::kQueryRowsMax));
    for (const wire::NodeRow& node : page.nodes)
      if (parts_.denied == nullptr || parts_.denied->check(node.identity))
        out.push_back(node.identity);
    more = page.more && !page.nodes.empty();
    if (more) after = page.nodes.back().identity;
  }
  return out;
}

void Service::stop() {
  if (stopped_.exchange(true)) return;
  work_.close();
  parts_.recovery.stop();
  if (parts_.sources != nullptr) parts_.sources->stop();
  if (parts_.lanes != nullptr) parts_.lanes->stop();
  // Nodes ship again what is not acknowledged.
  if (parts_.logs != nullptr) parts_.logs->stop();
  if (parts_.audit != nullptr) parts_.audit->stop();
  server_.close();
  parts_.pools.join();
  server_.join();
}

RegistryTotals Service::totals() const {
  const serve::ServeCounters& counters = session_counters();
  return {.sessions = counters.sessions,
          .publishes = counters_.publishes,
          .offers = counters.offers,
          .sent_bytes = counters.artifact_bytes,
          .records = parts_.logs == nullptr ? 0 : parts_.logs->counters().records.load()};
}

void Service::roots_changed() {
  server_.roots_changed();
  if (parts_.sources != nullptr) parts_.sources->root_changed();
}

void Service::announce(const model::LedgerId& ledger, const Span* publish) {
  Span span;
  if (const auto head = parts_.registry.head(ledger))
    span = traces_.announce(ledger, head->ref.version, publish, read_clock().boot_ms);
  server_.target_changed(ledger);
  span.end();
  if (parts_.denied != nullptr && parts_.denied->ledger() == ledger) recheck_sessions();
}

void Service::take_in(const model::LedgerId& ledger, const Span* publish) {
  if (const auto head = parts_.registry.head(ledger))
    parts_.fleet.measures().published(ledger, head->ref.version, read_clock().wall_ms);
  artifacts_.prepare(ledger, publish);
  if (parts_.denied == nullptr || parts_.denied->ledger() != ledger) return;
  if (const auto updated = update_deny_list(ledger); !updated)
    log::write(log::Level::kError, "deny_list_not_read", updated.error(),
               {{"ledger", ledger.text()}});
}

Result<void> Service::update_deny_list(const model::LedgerId& ledger) {
  const auto head = parts_.registry.head(ledger);
  if (!head) return {};
  NOTP_ASSIGN(const registry::SnapshotPtr release,
              parts_.registry.snapshot(ledger, head->ref.version));
  return parts_.denied->update(*release);
}

asio::awaitable<wire::PublishResult> Service::publish(
    serve::PeerPtr peer, session::server_event::PublishArrived arrived) {
  const model::LedgerId ledger = arrived.publish.ledger;
  const uint64_t request = arrived.publish.request, version = arrived.publish.version;
  Span span = begin_publish(tracer_of(parts_), arrived.publish);
  publish::PublishAttempt attempt{
      std::move(arrived.publish), {}, peer->identity, read_clock().wall_ms, &span};
  // An identity that the deny list names must be disconnected at once.
  const bool is_order = options_.facts.deny_list == ledger;
  auto handled = co_await serve::offload(
      is_order ? work_.now_publishes : work_.validations, peer->name,
      [this, &attempt, &arrived, &span]() -> Result<publish::PublishOutcome> {
        // Its share of the budget is returned when the publish is done.
        NOTP_ASSIGN(attempt.artifact, arrived.artifact->take());
        publish::PublishOutcome outcome = pipeline_.handle(std::move(attempt));
        if (outcome.published) take_in(outcome.published->ref.ledger, &span);
        return outcome;
      });
  wire::PublishResult result;
  if (handled) {
    result = std::move(handled->result);
    if (handled->published) {
      ++counters_.publishes;
      announce(ledger, &span);
    }
  } else {
    result.request = request;
    result.code = static_cast<uint32_t>(handled.error().code);
    result.message = handled.error().message;
  }
  if (result.code != 0) ++counters_.publishes_refused;
  span.set_code(result.code);
  span.end();
  log_publish(peer->name, ledger, result);
  result.message = serve::peer_message(error_code_from_wire(result.code), std::move(result.message),
                                       fmt::format("{} v{}", ledger.text(), version));
  co_return result;
}

publish::PublishOutcome Service::publish_here(publish::PublishAttempt attempt) {
  const model::LedgerId ledger = attempt.publish.ledger;
  const std::string identity = attempt.publisher.text();
  Span span = begin_publish(tracer_of(parts_), attempt.publish);
  attempt.span = &span;
  publish::PublishOutcome outcome = pipeline_.handle(std::move(attempt));
  if (outcome.published) {
    ++counters_.publishes;
    take_in(ledger, &span);
    announce(ledger, &span);
  }
  if (outcome.result.code != 0) ++counters_.publishes_refused;
  span.set_code(outcome.result.code);
  span.end();
  log_publish(identity, ledger, outcome.result);
  return outcome;
}

asio::awaitable<wire::Response> Service::answer(serve::PeerPtr peer, wire::Request request) {
  auto handled = co_await serve::offload(
      work_.lane_of(wire::kind_of(request)), peer->name,
      [this, &request, &peer]() -> Result<RequestOutcome> {
        const Caller caller{peer->identity, peer->key, read_clock().wall_ms};
        RequestOutcome outcome = requests_.handle(request, caller);
        if (outcome.effects.new_head) take_in(*outcome.effects.new_head);
        return outcome;
      });
  RequestOutcome outcome =
      handled ? std::move(*handled) : RequestOutcome{error_response(request, handled.error()), {}};
  if (outcome.effects.roots_changed) roots_changed();
  if (outcome.effects.freshness_due) freshness_due();
  if (const auto& released = outcome.effects.released)
    server_.release_held(released->node, {released->ledger, released->version});
  if (outcome.effects.new_head) {
    ++counters_.publishes;
    announce(*outcome.effects.new_head);
  }
  wire::Response& response = outcome.response;
  hide_own_matter(*peer, response.code, response.message);
  if (auto* published = std::get_if<wire::PublishResult>(&response.what))
    hide_own_matter(*peer, published->code, published->message);
  co_return std::move(outcome.response);
}

}  // namespace notp::service
