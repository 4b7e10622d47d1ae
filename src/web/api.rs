//! The admin API, `/api/v1`. `docs/admin.md` describes it.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::console::{Action, Chosen, Mended, PoisonView, Refusal, RefusalKind, TableView};
use super::schema::SchemaView;
use super::server::Site;
use crate::domain::ids::TableId;
use crate::domain::shape::Shape;
use crate::domain::transition::Mending;

/// How near a name must be to be suggested, in edits.
const NEAR_EDITS: usize = 4;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/cost", web::get().to(cost))
        .route("/api/v1/tables", web::get().to(tables))
        .route("/api/v1/tables/{cluster}/{schema}/{table}", web::get().to(table))
        .route("/api/v1/tables/{cluster}/{schema}/{table}/poison", web::get().to(poison))
        .route("/api/v1/tables/{cluster}/{schema}/{table}/schema", web::get().to(schema))
        .route("/api/v1/tables/{cluster}/{schema}/{table}/poison/{mending}", web::post().to(mend))
        .route("/api/v1/tables/{cluster}/{schema}/{table}/{action}", web::post().to(act));
}

/// Cluster, schema and table, as a path names them.
type Named = (String, String, String);

async fn tables(site: web::Data<Site>) -> HttpResponse {
    match site.overview().await {
        Ok(overview) => HttpResponse::Ok().json(
            json!({"at": overview.at.rfc3339(), "tables": overview.tables, "receivers": overview.receivers}),
        ),
        Err(refusal) => refused(&refusal),
    }
}

async fn cost(site: web::Data<Site>) -> HttpResponse {
    match site.cost().await {
        Ok(view) => HttpResponse::Ok().json(view),
        Err(refusal) => refused(&refusal),
    }
}

async fn table(site: web::Data<Site>, path: web::Path<Named>) -> HttpResponse {
    let (cluster, schema, table) = path.into_inner();
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    match site.table(&id).await {
        Ok(view) => HttpResponse::Ok().json(view),
        Err(refusal) => refused(&refusal),
    }
}

async fn act(site: web::Data<Site>, path: web::Path<(String, String, String, String)>) -> HttpResponse {
    let (cluster, schema, table, action) = path.into_inner();
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    let Some(action) = Action::named(&action) else {
        let known = Action::ALL.map(Action::name).join(", ");
        let (error, remedy) = (format!("{action} is no action"), format!("use one of: {known}"));
        return refused(&Refusal { kind: RefusalKind::UnknownTable, error, remedy });
    };
    match site.act(&id, action).await {
        Ok(acted) => HttpResponse::Ok().json(acted),
        Err(refusal) => refused(&refusal),
    }
}

async fn poison(site: web::Data<Site>, path: web::Path<Named>) -> HttpResponse {
    let (cluster, schema, table) = path.into_inner();
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    match site.poison(&id).await {
        Ok(files) => HttpResponse::Ok().json(json!({"table": id.to_string(), "files": files})),
        Err(refusal) => refused(&refusal),
    }
}

async fn schema(site: web::Data<Site>, path: web::Path<Named>) -> HttpResponse {
    let (cluster, schema, table) = path.into_inner();
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    match site.shape(&id).await {
        Ok(shape) => HttpResponse::Ok().json(SchemaView::new(id.to_string(), &shape)),
        Err(refusal) => refused(&refusal),
    }
}

/// Which files: `{"all": true}`, or `{"files": ["bucket/key@etag"]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    files: Vec<String>,
}

fn chosen(body: &[u8]) -> Result<Chosen, Refusal> {
    let unclear = |error: String| Refusal {
        kind: RefusalKind::Unclear,
        error,
        remedy:
            "send {\"files\": [\"bucket/key@etag\"]} as the list of poison names them, or {\"all\": true}"
                .to_owned(),
    };
    let wish: Wish = serde_json::from_slice(body).map_err(|error| unclear(format!("the body: {error}")))?;
    match (wish.all, wish.files.is_empty()) {
        (true, true) => Ok(Chosen::All),
        (false, false) => Ok(Chosen::Named(wish.files)),
        (true, false) => Err(unclear("all files, and some of them by name".to_owned())),
        (false, true) => Err(unclear("no file is named".to_owned())),
    }
}

async fn mend(
    site: web::Data<Site>,
    path: web::Path<(String, String, String, String)>,
    body: web::Bytes,
) -> HttpResponse {
    let (cluster, schema, table, mending) = path.into_inner();
    let id = TableId::new(cluster.as_str(), schema.as_str(), table.as_str());
    let mending = match mending.as_str() {
        "redrive" => Mending::Redrive,
        "discard" => Mending::Discard,
        other => {
            let (error, remedy) =
                (format!("{other} is nothing to do with poison"), "use one of: redrive, discard".to_owned());
            return refused(&Refusal { kind: RefusalKind::UnknownTable, error, remedy });
        }
    };
    let mended = match chosen(&body) {
        Ok(chosen) => site.mend(&id, chosen, mending).await,
        Err(refusal) => Err(refusal),
    };
    match mended {
        Ok(mended) => HttpResponse::Ok().json(mended),
        Err(refusal) => refused(&refusal),
    }
}

pub(super) fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal.kind {
        RefusalKind::UnknownTable | RefusalKind::UnknownFile => StatusCode::NOT_FOUND,
        RefusalKind::Unclear => StatusCode::BAD_REQUEST,
        RefusalKind::NoAnswer => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let body = json!({"error": refusal.error, "remedy": refusal.remedy});
    HttpResponse::build(status_of(refusal)).json(body)
}

impl Site {
    fn console(&self) -> Result<&dyn super::console::Console, Refusal> {
        self.console.get().map(|console| &**console).ok_or_else(|| Refusal {
            kind: RefusalKind::NoAnswer,
            error: "landbridge is starting".to_owned(),
            remedy: "ask again in a few seconds; /health/ready says when".to_owned(),
        })
    }

    async fn cost(&self) -> Result<super::cost::CostView, Refusal> {
        self.console()?.cost().await
    }

    pub(super) async fn overview(&self) -> Result<std::sync::Arc<super::console::Overview>, Refusal> {
        self.console()?.overview().await
    }

    pub(super) async fn table(&self, id: &TableId) -> Result<TableView, Refusal> {
        let overview = self.overview().await?;
        let name = id.to_string();
        let found = overview.tables.iter().find(|table| table.name == name).cloned();
        found.ok_or_else(|| unknown(&name, &overview.tables))
    }

    pub(super) async fn act(&self, id: &TableId, action: Action) -> Result<super::console::Acted, Refusal> {
        // Only names that are mapped go further.
        self.table(id).await?;
        self.console()?.act(id, action).await
    }

    async fn poison(&self, id: &TableId) -> Result<Vec<PoisonView>, Refusal> {
        self.table(id).await?;
        self.console()?.poison(id).await
    }

    async fn shape(&self, id: &TableId) -> Result<Shape, Refusal> {
        self.table(id).await?;
        self.console()?.shape(id).await
    }

    async fn mend(&self, id: &TableId, chosen: Chosen, mending: Mending) -> Result<Mended, Refusal> {
        self.table(id).await?;
        self.console()?.mend(id, chosen, mending).await
    }
}

/// No mapping names the table; the nearest one is named.
fn unknown(name: &str, tables: &[TableView]) -> Refusal {
    let near = tables.iter().map(|table| (strsim::osa_distance(name, &table.name), &table.name));
    let nearest = near.filter(|(distance, _)| *distance <= NEAR_EDITS).min();
    let remedy = match nearest {
        Some((_, nearest)) => format!("did you mean {nearest}?"),
        None => "name a mapped table as cluster/schema.table; /api/v1/tables lists them".to_owned(),
    };
    Refusal { kind: RefusalKind::UnknownTable, error: format!("no mapping names the table {name}"), remedy }
}
