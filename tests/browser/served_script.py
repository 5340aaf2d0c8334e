"""What Streamlit runs for each session of the browser tests: the pages over a scripted classifier."""

if __name__ == "__main__":
    import streamlit as st

    from dashboard import context, shell
    from monitor.settings import load_settings
    from monitor.store import open_store
    from tests.dashboard.scripted_app import ScriptedApp

    @st.cache_resource(show_spinner=False)
    def scripted_app() -> ScriptedApp:
        settings = load_settings()
        return ScriptedApp(settings, open_store(settings.store_url, role="reader"))

    context.app = scripted_app
    shell.run()
