from dashboard import context, widgets


@widgets.guarded
def page() -> None:
    widgets.header(context.words()("nav.watchlist"), context.reads())
