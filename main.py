"""Composition root: builds the services and hands them to the elements."""

from pyscript import config

from components.activity_feed import ActivityFeed
from components.collaborative_editor import CollaborativeEditor
from components.connection_inspector import ConnectionInspector
from components.data_explorer import DataExplorer
from components.element import define, drawn
from components.login_panel import LoginPanel
from components.notification_feed import NotificationFeed
from components.post_forms import ActivityForm, NotificationForm
from components.shell import starting
from components.tab_list import TabList
from services.auth import AuthService
from services.auth_sync import AuthSync
from services.documents import Documents
from services.endpoints import Endpoints
from services.gateway_api import GatewayAPI
from services.platform import default_platform
from services.session_clients import SessionClients
from services.shared_connection import SharedConnection
from services.shared_events import SharedEvents
from services.tab_sync import TabSync
from services.worker_manager import WorkerManager

with starting():
    endpoints = Endpoints.from_config(config)
    platform = default_platform()
    tabs = TabSync(platform=platform)
    auth = AuthService(endpoints.api, platform=platform)
    auth_sync = AuthSync(auth, tabs)
    socket = SharedConnection(endpoints.websocket, tabs=tabs, token=auth, platform=platform)
    events = SharedEvents(endpoints.events, tabs=tabs, token=auth, platform=platform)
    api = GatewayAPI(endpoints.api, token=auth, platform=platform)
    trades = endpoints.api + "datasets/trades"
    rows = SharedEvents(
        trades + "/events", tabs=tabs, token=auth, resume_after_reload=False, platform=platform
    )
    workers = WorkerManager(eager=False, platform=platform)
    documents = Documents(
        endpoints.documents,
        auth=auth,
        told=lambda error: print("Document:", error),
        platform=platform,
    )
    session = SessionClients(auth, socket, events, rows, report=platform.report)

    # What cannot be understood, and why there is no connection: once each, in the console.
    socket.on("error", lambda event: print("WebSocket:", event["error"]))
    events.on("error", lambda event: print("Event stream:", event["error"]))
    rows.on("error", lambda event: print("Rows:", event["error"]))
    tabs.on("error", lambda event, _: print("Tabs:", event["error"]))

    define(NotificationFeed, socket=socket, platform=platform)
    define(ActivityFeed, events=events, api=api, platform=platform)
    define(LoginPanel, auth=auth)
    define(TabList, tabs=tabs, platform=platform)
    define(NotificationForm, api=api)
    define(ActivityForm, api=api)
    define(
        DataExplorer,
        workers=workers,
        events=rows,
        url=trades,
        auth=auth,
        tabs=tabs,
        platform=platform,
    )
    define(CollaborativeEditor, open_document=documents.open, auth=auth, platform=platform)
    connections = {"WebSocket": socket, "Event stream": events}
    define(ConnectionInspector, connections=connections, platform=platform)
    await drawn()
