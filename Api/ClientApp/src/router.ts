import { createRouter, createWebHistory } from 'vue-router'

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
  routes: [
    { path: '/', redirect: '/models' },
    { path: '/models', name: 'models', component: () => import('./pages/ModelsPage.vue'), meta: { title: 'Models' } },
    { path: '/models/:id', name: 'model', props: true, component: () => import('./pages/ModelPage.vue'), meta: { title: 'Model' } },
    { path: '/models/:id/new', name: 'new-study', props: true, component: () => import('./pages/NewStudyPage.vue'), meta: { title: 'New study' } },
    { path: '/models/:id/analyse', name: 'analyse', props: true, component: () => import('./pages/AnalysePage.vue'), meta: { title: 'Analyse' } },
    { path: '/compare', name: 'compare', component: () => import('./pages/ComparePage.vue'), meta: { title: 'Compare' } },
    { path: '/experiments/:id', name: 'experiment', props: true, component: () => import('./pages/ExperimentPage.vue'), meta: { title: 'Experiment' } },
    { path: '/workers', name: 'workers', component: () => import('./pages/WorkersPage.vue'), meta: { title: 'Workers' } },
    { path: '/:path(.*)*', name: 'nowhere', component: () => import('./pages/NowherePage.vue'), meta: { title: 'Not found' } },
  ],
})

router.afterEach((to) => {
  document.title = `${String(to.meta.title)} · ML Experiments`
})
